//! Stands in for `fxhash`.
