//! Asks a person for a password: on a terminal without showing it, else one line of standard input.
//!
//! Questions go where etcdctl writes them, to standard output, so that scripts find them there; but where a person types and
//! the output goes elsewhere, to standard error, where it can be seen. Invariants:
//! - Not one byte behind the line is read: it is for the command, or for the program that the command runs.
//! - The terminal is put back whatever happens, ^C included.

use crate::exit::Failure;
use crate::secret::Secret;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr};
use std::io::Write;
use std::os::fd::BorrowedFd;
use zeroize::Zeroizing;

/// Longest line that is taken for a password; a terminal gives no longer one.
const PASSWORD_BYTES_MAX: usize = 4096;
/// What ^C sends.
const INTERRUPT: u8 = 3;

/// Asks a question, and returns what was typed without the spaces around it.
pub(crate) fn ask(question: &str) -> Result<Secret, Failure> {
    let person = isatty(stdin());
    let tell = |text: &str| {
        let written = if person && !isatty(stdout()) {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        written.map_err(|error| Failure::error(format!("failed to ask password: {error}")))
    };
    tell(question)?;
    let typed = if person {
        let hidden = Hidden::begin(stdin())
            .map_err(|error| Failure::arguments(format!("failed to ask password: {error}")))?;
        let typed = line();
        drop(hidden);
        typed
    } else {
        line()
    };
    tell("\n")?;
    let typed = typed?;
    if person && typed.last() == Some(&INTERRUPT) {
        // As the terminal itself would have done it, had it not been told to leave that to us.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::INT);
        return Err(Failure::silent(130));
    }
    text(&typed)
}

/// One line of standard input, without a question.
pub(crate) fn read() -> Result<Secret, Failure> {
    text(&line()?)
}

/// Asks for a new password of this user, twice, so that a slip does not lock anybody out.
pub(crate) fn ask_new(name: &str) -> Result<Secret, Failure> {
    let password = ask(&format!("Password of {name}: "))?;
    if password.is_empty() {
        return Err(Failure::arguments("empty password"));
    }
    if ask(&format!("Type password of {name} again for confirmation: "))? != password {
        return Err(Failure::arguments("given passwords are different"));
    }
    Ok(password)
}

fn text(line: &[u8]) -> Result<Secret, Failure> {
    let text = std::str::from_utf8(line).map_err(|_| Failure::arguments("the password is not UTF-8"))?;
    Ok(text.trim().into())
}

/// The bytes up to the end of the line or of the input. Read one by one, past the buffer that the rest of the program uses.
fn line() -> Result<Zeroizing<Vec<u8>>, Failure> {
    // With its room from the start, so that growing leaves no copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX));
    loop {
        let mut byte = [0];
        match rustix::io::read(stdin(), &mut byte) {
            Ok(0) => return Ok(line),
            Ok(_) if byte == *b"\n" => return Ok(line),
            Ok(_) if line.len() == PASSWORD_BYTES_MAX => {
                return Err(Failure::arguments(format!(
                    "the password is longer than {PASSWORD_BYTES_MAX} bytes"
                )));
            }
            Ok(_) => line.extend_from_slice(&byte),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::error(format!("failed to read the password: {error}"))),
        }
        if line.last() == Some(&INTERRUPT) && isatty(stdin()) {
            return Ok(line);
        }
    }
}

/// A terminal that does not show what is typed, until this is dropped. It sends no signals meanwhile, as they would end the
/// program before the terminal is put back: ^C ends the line instead.
struct Hidden {
    terminal: BorrowedFd<'static>,
    before: Termios,
}

impl Hidden {
    fn begin(terminal: BorrowedFd<'static>) -> Result<Self, Errno> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        quiet.local_modes.insert(LocalModes::ICANON);
        quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(terminal, OptionalActions::Drain, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is typed must be the same password again at the next login, at ours and at etcdctl: spaces around it and a return do
    /// not count, spaces inside do. (Reading itself is tried on a terminal, by `conformance/cli`.)
    #[test]
    fn a_line_is_a_password_without_the_spaces_around_it() {
        for (line, password) in
            [(&b"pw"[..], "pw"), (b" p w\t\r", "p w"), (b"", ""), ("\u{a0}ü ".as_bytes(), "ü")]
        {
            assert_eq!(text(line).unwrap().expose(), password);
        }
        let failure = text(b"hush\xff").unwrap_err();
        assert!(failure.code == 128 && !failure.to_string().contains("hush"), "{failure}");
    }
}
