//! A place of its own for a member, and the binary run in it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");
/// Longer than any start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a member's data, key, certificates and profile.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// A member that runs; stopped when dropped.
pub(crate) struct Running(Child);

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Everything of this place again, elsewhere. Runs of zeros take no room.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        let mut cp = Command::new("cp");
        cp.args(["-a", "--sparse=always"]).arg(self.path(".")).arg(copy.path(""));
        assert!(cp.status().unwrap().success());
        copy
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The files of a part of the data, with their contents.
    pub(crate) fn files(&self, below: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.path(below), &mut found);
        found.sort();
        found
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command
            .env("STRONGROOM_PROFILE", self.path("client.toml"))
            .env("STRONGROOM_DATA_DIR", self.path("data"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a member and waits until it serves.
    pub(crate) fn up(&self, flags: &[&str]) -> Running {
        let listen = format!("unix:{}", self.path("clients").display());
        let peers = format!("unix:{}", self.path("peers").display());
        let log = std::fs::File::create(self.path("up.log")).unwrap();
        let arguments = [&["up", "--listen", &listen, "--listen-peer", &peers][..], flags].concat();
        let child = self.command(&arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut running = Running(child);
        self.until("it serves", || {
            assert!(running.0.try_wait().unwrap().is_none(), "{}", self.log());
            self.run(&["endpoint", "health"]).status.success()
        });
        running
    }

    /// Starts a member of the drop-in, with these variables too, and waits until it serves. Its ids follow from its settings,
    /// so they are the same wherever its data lies.
    pub(crate) fn up_as_etcd(&self, variables: &[(&str, PathBuf)]) -> Running {
        let called = self.path("etcd");
        if !called.exists() {
            std::os::unix::fs::symlink(BINARY, &called).unwrap();
        }
        let clients = format!("unix://{}", self.path("clients").display());
        let log = std::fs::File::create(self.path("up.log")).unwrap();
        let mut etcd = Command::new(called);
        etcd.env_clear().env("ETCD_DATA_DIR", self.path("data"));
        etcd.envs(variables.iter().map(|(name, value)| (name, value)));
        etcd.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        let child = etcd.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut running = Running(child);
        self.until("it serves", || {
            assert!(running.0.try_wait().unwrap().is_none(), "{}", self.log());
            self.log().contains("ready to serve client requests")
        });
        running
    }

    /// Looks again and again whether something has come to be.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let clock = env::Env::real().clock;
        let began = clock.monotonic();
        while !is_so() {
            assert!(clock.monotonic().since(began) < PATIENCE, "not seen: {what}; {}", self.log());
            std::thread::yield_now();
        }
    }

    /// What the member said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("up.log")).unwrap_or_default()
    }

    /// One family's value in a scrape of the socket of that name.
    pub(crate) fn scraped(&self, socket: &str, name: &str) -> f64 {
        let mut stream = UnixStream::connect(self.path(socket)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        let output = self.run(&["put", key, value]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn collect(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
}

impl Running {
    /// Asks it to stop, as a service manager does, and waits for it.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
