//! The record of who asked what.
