//! A whole member on a simulated disk.

mod copies;
mod full_disk;
mod member;
mod world;
