//! `txn`: comparisons, what to do if all hold, and what otherwise, read from standard input.

pub(crate) mod grammar;
pub(crate) mod words;

use super::{say, show};
use crate::connect::Client;
use crate::exit::Failure;
use crate::print::Answer;
use crate::settings::Settings;
use clap::Args;
use std::ffi::OsString;
use std::io::BufRead;
use std::sync::Arc;

/// `txn [-i]`: three paragraphs on standard input, each ended by an empty line: comparisons such as `mod("key") > "0"`,
/// requests (get, put, del) if they all hold, and requests otherwise.
#[derive(Args, Clone, Debug)]
pub struct Txn {
    /// Ask for each paragraph
    #[arg(short, long)]
    interactive: bool,
    #[arg(hide = true)]
    words: Vec<OsString>,
}

impl Txn {
    pub(super) async fn run(self, settings: &Arc<Settings>) -> Result<(), Failure> {
        if !self.words.is_empty() {
            return Err(Failure::arguments("txn command does not accept argument")
                .hinting("write the transaction to its standard input, or use txn -i"));
        }
        let interactive = self.interactive;
        let (client, request) = if interactive {
            let client = Client::connect(settings).await?;
            (client, read(&mut std::io::stdin().lock(), say)?)
        } else {
            // The password stands before the transaction, as etcdctl reads them.
            settings.credentials.prepare()?;
            let request = read(&mut std::io::stdin().lock(), |_| Ok(()))?;
            (Client::connect(settings).await?, request)
        };
        let answer = client.call(client.kv().txn(client.bounded(request)?)).await?;
        show(&client, &Answer::Txn(&answer))
    }
}

/// Reads the three paragraphs.
fn read(
    input: &mut dyn BufRead,
    prompt: impl Fn(&str) -> Result<(), Failure>,
) -> Result<proto::etcdserverpb::TxnRequest, Failure> {
    let mut request = proto::etcdserverpb::TxnRequest::default();
    prompt("compares:")?;
    while let Some(line) = line(input)? {
        request.compare.push(grammar::comparison(&line)?);
    }
    prompt("success requests (get, put, del):")?;
    while let Some(line) = line(input)? {
        request.success.push(grammar::operation(&line)?);
    }
    prompt("failure requests (get, put, del):")?;
    while let Some(line) = line(input)? {
        request.failure.push(grammar::operation(&line)?);
    }
    Ok(request)
}

/// The next line of a paragraph; `None` at its end. Input that ends before its time is an error.
fn line(input: &mut dyn BufRead) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line).map_err(|error| Failure::input(error.to_string()))?;
    if !line.ends_with(b"\n") {
        return Err(Failure::input("EOF")
            .hinting("a transaction has three paragraphs, each ended by an empty line, the last one too"));
    }
    let line = line.trim_ascii();
    Ok((!line.is_empty()).then(|| line.to_vec()))
}

#[cfg(test)]
mod tests;
