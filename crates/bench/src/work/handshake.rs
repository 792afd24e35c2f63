//! Connections instead of requests: full handshakes one after another, and connections on which nothing is ever said.
//!
//! A handshake counts when the server has taken it: with its first frame of HTTP/2, which it sends after it has judged the client's
//! certificate. No session is resumed, so each is a whole one.

use crate::connect::{Error, Target};
use crate::run::Run;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// HTTP/2's opening with empty settings.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Each client makes connections, one at a time, and drops them.
pub(super) async fn many(target: &Target, clients: u32, run: &Rc<Run>) -> Result<(), Error> {
    let maker = Rc::new(target.maker()?);
    let mut tasks = Vec::new();
    for _ in 0..clients.max(1) {
        let (maker, run) = (Rc::clone(&maker), Rc::clone(run));
        tasks.push(tokio::task::spawn_local(async move {
            while run.take() {
                let began = run.now();
                let made = async {
                    let mut stream = maker.stream().await?;
                    let failed = |error| Error::Unreachable("the server".to_owned(), error);
                    stream.write_all(OPENING).await.map_err(failed)?;
                    stream.flush().await.map_err(failed)?;
                    stream.read_exact(&mut [0; 9]).await.map_err(failed)
                };
                match made.await {
                    Ok(_) => run.done(began),
                    Err(error) => run.fail(&error.to_string()),
                }
            }
        }));
    }
    super::finish(tasks).await;
    Ok(())
}

/// Opens as many connections as there are requests, says nothing on them, and counts each when the server has closed it.
pub(super) async fn idle(target: &Target, run: &Rc<Run>) -> Result<(), Error> {
    let target = Arc::new(target.clone());
    let mut tasks = Vec::new();
    while run.take() {
        let mut stream = target.plain().await?;
        let (began, run) = (run.now(), Rc::clone(run));
        tasks.push(tokio::task::spawn_local(async move {
            // Closed is what is waited for, in whatever way.
            let _ = stream.read(&mut [0; 1]).await;
            run.done(began);
        }));
    }
    super::finish(tasks).await;
    Ok(())
}
