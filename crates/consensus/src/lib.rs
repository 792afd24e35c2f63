//! The raft library behind our own words.
