//! Splitting an answer with many events into fragments that stay below a client's limit on messages.
//!
//! Only for watchers that asked for it. A single event is never split; every fragment but the last says that more follow.

use prost::Message;
use prost::encoding::encoded_len_varint;
use proto::etcdserverpb::WatchResponse;

/// The answer in pieces, each below `bytes_max` where its events allow it.
pub(super) fn fragments(mut answer: WatchResponse, bytes_max: usize) -> Vec<WatchResponse> {
    if answer.events.len() < 2 || answer.encoded_len() < bytes_max {
        return vec![answer];
    }
    let events = std::mem::take(&mut answer.events);
    answer.fragment = true;
    let frame = answer.encoded_len();
    let mut pieces = Vec::new();
    let (mut piece, mut size) = (answer.clone(), frame);
    for event in events {
        let length = event.encoded_len();
        let length = 1usize.saturating_add(encoded_len_varint(length as u64)).saturating_add(length);
        if !piece.events.is_empty() && size.saturating_add(length) >= bytes_max {
            pieces.push(std::mem::replace(&mut piece, answer.clone()));
            size = frame;
        }
        size = size.saturating_add(length);
        piece.events.push(event);
    }
    piece.fragment = false;
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::mvccpb::{Event, KeyValue};

    fn answer(sizes: &[usize]) -> WatchResponse {
        let event = |(n, size): (usize, &usize)| Event {
            kv: Some(KeyValue {
                key: n.to_string().into(),
                value: vec![b'v'; *size].into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        WatchResponse {
            watch_id: 7,
            events: sizes.iter().enumerate().map(event).collect(),
            ..Default::default()
        }
    }

    /// Whatever the sizes: no event is lost, doubled or moved, every piece that can be small is, and exactly the last one
    /// says that nothing follows.
    #[test]
    fn pieces_are_the_whole_in_order() {
        for sizes in
            [&[10usize; 50][..], &[1000, 10, 10, 1000, 1000], &[5000, 5000], &[10], &[], &[400, 500, 90]]
        {
            for max in [100, 500, 1000, 1_000_000] {
                let whole = answer(sizes);
                let pieces = fragments(whole.clone(), max);
                let events: Vec<_> = pieces.iter().flat_map(|piece| piece.events.clone()).collect();
                assert_eq!(events, whole.events);
                let (last, before) = pieces.split_last().unwrap();
                assert!(!last.fragment && before.iter().all(|piece| piece.fragment));
                for piece in &pieces {
                    assert!(piece.events.len() < 2 || piece.encoded_len() < max);
                    assert_eq!(piece.watch_id, 7);
                }
            }
        }
    }
}
