//! Data directory, manifest, sealed log, sealed record store.
