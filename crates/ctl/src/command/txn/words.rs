//! A line of input as words: quoted ones as Go reads them, the others up to the next space.
//!
//! Pure; any bytes are taken. Used by `txn` and by `watch -i`.

/// What is wrong with a quoted word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadQuote;

/// Splits a line into words. A word in double quotes knows escapes, one in single quotes does not; a quote without its
/// partner is passed over.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, BadQuote> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some((&first, tail)) = rest.split_first() {
        match first {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => rest = tail,
            b'"' => match closing(tail) {
                Some(end) => {
                    let (quoted, behind) = rest.split_at_checked(end + 2).ok_or(BadQuote)?;
                    let (word, _) = literal(quoted).ok_or(BadQuote)?;
                    words.push(word);
                    rest = behind;
                }
                None => rest = tail,
            },
            b'\'' => match tail.iter().position(|byte| *byte == b'\'') {
                Some(end) => {
                    words.push(tail.get(..end).unwrap_or_default().to_vec());
                    rest = tail.get(end + 1..).unwrap_or_default();
                }
                None => rest = tail,
            },
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                words.push(rest.get(..end).unwrap_or_default().to_vec());
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
    Ok(words)
}

/// Where the double quote is that ends a text, escapes passed over.
fn closing(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let end = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        end
    })
}

/// Reads a Go string literal, in double quotes with escapes or in back quotes without, from the front of a text. Yields its
/// bytes and what stands behind it.
pub(crate) fn literal(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (quote, body) = text.split_first()?;
    if *quote == b'`' {
        let end = body.iter().position(|byte| *byte == b'`')?;
        return Some((
            body.get(..end)?.iter().copied().filter(|byte| *byte != b'\r').collect(),
            body.get(end + 1..)?,
        ));
    }
    if *quote != b'"' {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = body;
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = match byte {
            b'"' => return Some((out, tail)),
            b'\n' => return None,
            b'\\' => escape(tail, &mut out)?,
            other => {
                out.push(*other);
                tail
            }
        };
    }
}

/// One escape, behind its backslash.
fn escape<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (kind, tail) = text.split_first()?;
    let plain = match kind {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'"' => *kind,
        b'x' => {
            let (value, tail) = digits(tail, 2, 16)?;
            out.push(u8::try_from(value).ok()?);
            return Some(tail);
        }
        b'0'..=b'7' => {
            let (value, tail) = digits(text, 3, 8)?;
            out.push(u8::try_from(value).ok()?);
            return Some(tail);
        }
        b'u' | b'U' => {
            let (value, tail) = digits(tail, if *kind == b'u' { 4 } else { 8 }, 16)?;
            out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(tail);
        }
        _ => return None,
    };
    out.push(plain);
    Some(tail)
}

fn digits(text: &[u8], count: usize, radix: u32) -> Option<(u32, &[u8])> {
    let (number, tail) = text.split_at_checked(count)?;
    let number =
        std::str::from_utf8(number).ok().filter(|number| number.chars().all(|c| c.is_digit(radix)))?;
    Some((u32::from_str_radix(number, radix).ok()?, tail))
}
