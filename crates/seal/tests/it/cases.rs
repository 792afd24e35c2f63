//! Reads a file of vectors (docs/formats/vectors/README.md), and gives each case to a reader.

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct Case {
    name: String,
    pub(crate) bytes: Vec<u8>,
    expect: Result<String, String>,
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/vectors").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut all = Vec::new();
    let mut named: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for block in text.split("\n\n") {
        let (mut name, mut bytes, mut expect) = (String::new(), Vec::new(), None);
        for line in block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "case" => name = rest.to_owned(),
                "bytes" => bytes = unhex(rest),
                "text" => bytes = rest.replace("\\n", "\n").into_bytes(),
                "from" => bytes = named[rest].clone(),
                "set" => {
                    let (at, new) = rest.split_once(' ').unwrap();
                    let (at, new) = (at.parse::<usize>().unwrap(), unhex(new));
                    bytes[at..at + new.len()].copy_from_slice(&new);
                }
                "cut" => bytes.truncate(rest.parse().unwrap()),
                "add" => bytes.extend(unhex(rest)),
                "expect" => {
                    expect = Some(match rest.split_once(' ').unwrap_or((rest, "")) {
                        ("ok", what) => Ok(what.to_owned()),
                        ("error", part) => Err(part.to_owned()),
                        _ => panic!("{line}"),
                    });
                }
                _ => panic!("{line}"),
            }
        }
        if let Some(expect) = expect {
            named.insert(name.clone(), bytes.clone());
            all.push(Case { name, bytes, expect });
        }
    }
    assert!(all.len() >= 5, "{file} has {} cases", all.len());
    all
}

pub(crate) fn check<E: std::fmt::Display>(file: &str, read: impl Fn(&[u8]) -> Result<String, E>) {
    for Case { name, bytes, expect } in cases(file) {
        match (read(&bytes).map_err(|error| error.to_string()), &expect) {
            (Ok(found), Ok(expected)) => assert_eq!(&found, expected, "{file}: {name}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{file}: {name}: {found}"),
            (found, _) => panic!("{file}: {name}: {found:?}, expected {expect:?}"),
        }
    }
}

/// The bytes of a file's first case must be what this program writes from the seed.
pub(crate) fn check_written(file: &str, written: &[u8]) {
    assert_eq!(hex(written), hex(&cases(file)[0].bytes), "{file}");
}
