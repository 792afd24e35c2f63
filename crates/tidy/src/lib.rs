//! Holds the house to its own rules, as ordinary tests: which room may know which, what may be named where, how a file
//! begins. The rules are in `tests/`; there is nothing to call.
#![forbid(unsafe_code)]
