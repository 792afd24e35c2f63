//! One JSON value from the front of some bytes, with the place and the text of every part.
//!
//! Positions and raw texts are kept because etcd's error messages quote them. What is not JSON is refused in the words of
//! Go's encoding/json, which reads the body there. Nesting is bounded ([`types::limits::JSON_DEPTH_MAX`]) so that no
//! body can exhaust the stack.

use std::fmt;

/// A part of a JSON text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part<'a> {
    /// Line and column, from 1, counted in bytes.
    pub(super) place: (usize, usize),
    /// The part as written; of lists and objects only the bracket.
    pub(super) raw: &'a str,
    /// What it is.
    pub(super) what: What<'a>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What<'a> {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Part<'a>>),
    Object(Vec<(Part<'a>, Part<'a>)>),
}

/// Why the bytes are not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    UnexpectedEnd,
    Invalid(char, String),
    /// A string that is not UTF-8; where it begins.
    NotText(usize, usize),
    TooDeep,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd => f.write_str("unexpected EOF"),
            Self::NotText(line, column) => {
                write!(f, "proto: syntax error (line {line}:{column}): invalid UTF-8 in string")
            }
            Self::Invalid('\'', context) => write!(f, "invalid character '\\'' {context}"),
            Self::Invalid('"', context) => write!(f, "invalid character '\"' {context}"),
            Self::Invalid(character, context) => {
                write!(f, "invalid character '{}' {context}", character.escape_debug())
            }
            Self::TooDeep => f.write_str("exceeded max depth"),
        }
    }
}

/// The first value and what lies behind it; nothing when only white space is left.
pub(super) fn value(bytes: &[u8]) -> Result<Option<(Part<'_>, &[u8])>, Error> {
    // Only strings can hold what is not UTF-8: the scanner ends there.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
    };
    let goes_on = text.len() < bytes.len();
    let json = text.trim_start_matches([' ', '\t', '\r', '\n']);
    if json.is_empty() && !goes_on {
        return Ok(None);
    }
    // The message is read as a text of its own: places are counted from its first byte.
    let mut scanner = Scanner { text: json, goes_on, at: 0, line: 1, line_began: 0, depth: 0 };
    let skipped = text.len().saturating_sub(json.len());
    let part = scanner.part("looking for beginning of value")?;
    Ok(Some((part, bytes.get(skipped.saturating_add(scanner.at)..).unwrap_or_default())))
}

struct Scanner<'a> {
    text: &'a str,
    /// Behind the text come bytes that are not UTF-8.
    goes_on: bool,
    at: usize,
    line: usize,
    line_began: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        if self.peek() == Some(b'\n') {
            self.line = self.line.saturating_add(1);
            self.line_began = self.at.saturating_add(1);
        }
        self.at = self.at.saturating_add(1);
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.step();
        }
    }

    fn place(&self) -> (usize, usize) {
        (self.line, self.at.saturating_sub(self.line_began).saturating_add(1))
    }

    fn wrong(&self, context: &str) -> Error {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(character) => Error::Invalid(character, context.to_owned()),
            None => Error::UnexpectedEnd,
        }
    }

    fn raw(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn part(&mut self, context: &str) -> Result<Part<'a>, Error> {
        let (place, from) = (self.place(), self.at);
        let what = match self.peek() {
            Some(b'{') => return self.nested(place, "{", Self::object),
            Some(b'[') => return self.nested(place, "[", Self::list),
            Some(b'"') => What::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", What::Bool(true))?,
            Some(b'f') => self.literal("false", What::Bool(false))?,
            Some(b'n') => self.literal("null", What::Null)?,
            _ => return Err(self.wrong(context)),
        };
        Ok(Part { place, raw: self.raw(from), what })
    }

    fn nested(
        &mut self,
        place: (usize, usize),
        raw: &'static str,
        inner: fn(&mut Self) -> Result<What<'a>, Error>,
    ) -> Result<Part<'a>, Error> {
        if self.depth >= types::limits::JSON_DEPTH_MAX {
            return Err(Error::TooDeep);
        }
        self.depth = self.depth.saturating_add(1);
        self.step();
        self.skip_space();
        let what = inner(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(Part { place, raw, what })
    }

    fn object(&mut self) -> Result<What<'a>, Error> {
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.step();
            return Ok(What::Object(members));
        }
        loop {
            let (place, from) = (self.place(), self.at);
            if self.peek() != Some(b'"') {
                return Err(self.wrong("looking for beginning of object key string"));
            }
            let name = self.string()?;
            let name = Part { place, raw: self.raw(from), what: What::Text(name) };
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("after object key"));
            }
            self.step();
            self.skip_space();
            members.push((name, self.part("looking for beginning of value")?));
            if self.separator(b'}', "after object key:value pair")? {
                return Ok(What::Object(members));
            }
        }
    }

    fn list(&mut self) -> Result<What<'a>, Error> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.step();
            return Ok(What::List(items));
        }
        loop {
            items.push(self.part("looking for beginning of value")?);
            if self.separator(b']', "after array element")? {
                return Ok(What::List(items));
            }
        }
    }

    /// Whether the list or object ends here; else a comma was passed.
    fn separator(&mut self, end: u8, context: &str) -> Result<bool, Error> {
        self.skip_space();
        match self.peek() {
            Some(byte) if byte == end => {
                self.step();
                Ok(true)
            }
            Some(b',') => {
                self.step();
                self.skip_space();
                Ok(false)
            }
            _ => Err(self.wrong(context)),
        }
    }

    fn literal(&mut self, word: &str, what: What<'a>) -> Result<What<'a>, Error> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.wrong(&format!("in literal {word} (expecting '{}')", char::from(expected))));
            }
            self.step();
        }
        Ok(what)
    }

    fn digits(&mut self, context: &str) -> Result<(), Error> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.wrong(context));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<What<'a>, Error> {
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(What::Number)
    }

    fn string(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        let (line, column) = self.place();
        self.step();
        loop {
            let from = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.step();
            }
            text.push_str(self.raw(from));
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.step();
                    text.push(self.escape()?);
                }
                None if self.goes_on => return Err(Error::NotText(line, column)),
                _ => return Err(self.wrong("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("in string escape code")),
        };
        self.step();
        Ok(character)
    }

    /// `\uXXXX`, or two of them for one character; a lone half becomes the replacement character, as in Go.
    fn unicode(&mut self) -> Result<char, Error> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let (at, line, line_began) = (self.at, self.line, self.line_began);
        if self.peek() == Some(b'\\') {
            self.step();
            if self.peek() == Some(b'u') {
                let second = self.four_digits()?;
                if (0xdc00..0xe000).contains(&second) {
                    let high = first.saturating_sub(0xd800) << 10;
                    let code = high.saturating_add(second.saturating_sub(0xdc00)).saturating_add(0x1_0000);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
        }
        (self.at, self.line, self.line_began) = (at, line, line_began);
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Result<u32, Error> {
        self.step();
        let mut code = 0_u32;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.wrong("in \\u hexadecimal character escape")) };
            code = code.saturating_mul(16).saturating_add(digit);
            self.step();
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match value(text.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(found) => panic!("{text:?} was read as {found:?}"),
        }
    }

    /// What is not JSON is refused as Go's library refuses it; clients show these texts to their users.
    #[test]
    fn what_is_not_json_is_refused_in_gos_words() {
        for (text, expected) in [
            ("{", "unexpected EOF"),
            ("{\"a\"", "unexpected EOF"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{x", "invalid character 'x' looking for beginning of object key string"),
            ("{\"a\" 1", "invalid character '1' after object key"),
            ("{\"a\":1 2", "invalid character '2' after object key:value pair"),
            ("[1 2", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("trux", "invalid character 'x' in literal true (expecting 'e')"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("'a'", "invalid character '\\'' looking for beginning of value"),
        ] {
            assert_eq!(refused(text), expected, "{text}");
        }
    }

    /// Bytes that are not text are refused where they stand, as etcd refuses them.
    #[test]
    fn a_string_that_is_not_text_is_refused() {
        let error = value(b"{\"key\":\"\xff\"}").unwrap_err();
        assert_eq!(error.to_string(), "proto: syntax error (line 1:8): invalid UTF-8 in string");
        assert!(value(b"\xff").is_err() && value(b"{\xff}").is_err());
    }

    /// A body of nothing but brackets must not exhaust the stack.
    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(types::limits::JSON_DEPTH_MAX + 1);
        assert_eq!(refused(&deep), "exceeded max depth");
        assert_eq!(refused(&"{\"a\":".repeat(1_000_000)), "exceeded max depth");
    }

    /// Bodies of streams hold several values one behind the other; each is read with places of its own.
    #[test]
    fn values_follow_each_other() {
        let (first, rest) = value(b" {\"a\":\"\\u00e9\\ud83d\\ude00\\ud800\"}\n[2] ").unwrap().unwrap();
        let What::Object(members) = &first.what else { panic!("an object") };
        assert_eq!(members[0].1.what, What::Text("é😀\u{fffd}".into()));
        assert_eq!(members[0].1.place, (1, 6));
        let (second, rest) = value(rest).unwrap().unwrap();
        assert!(matches!(second.what, What::List(_)) && second.place == (1, 1));
        assert_eq!(value(rest), Ok(None));
    }
}
