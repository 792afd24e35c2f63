def part(report, server, directory, ours):
    pass
