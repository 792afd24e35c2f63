//! The member's own certificate authority.

pub mod made;
