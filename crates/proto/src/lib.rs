//! etcd's messages, generated from .proto files written anew.
