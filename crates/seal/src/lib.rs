//! Keys and sealed records; the only crate that encrypts at rest.
