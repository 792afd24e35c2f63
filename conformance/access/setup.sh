#!/usr/bin/env bash
exec "$(dirname "$0")/../clients/setup.sh" python
