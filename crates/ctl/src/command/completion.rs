//! `completion`: what a shell needs to complete our commands.

use super::emit;
use crate::exit::Failure;
use clap::Args;
use clap_complete::Shell;

/// `completion bash|zsh|fish|powershell`
#[derive(Args, Clone, Debug)]
pub struct Completion {
    /// The shell; source the output, or put it where the shell looks
    shell: Shell,
}

impl Completion {
    pub(super) fn run(&self, root: &mut clap::Command) -> Result<(), Failure> {
        let name = root.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, root, name, &mut script);
        emit(&script)
    }
}
