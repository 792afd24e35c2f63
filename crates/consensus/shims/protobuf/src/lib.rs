//! Stands in for the `protobuf` crate, whose 2.x line has an advisory: the one trait and the one error that the raft
//! library names, over `prost`.
#![forbid(unsafe_code)]

/// A message that does not decode.
pub type ProtobufError = prost::DecodeError;

/// What the raft library asks of a message.
pub trait Message {
    /// The encoded size, in bytes.
    fn compute_size(&self) -> u32;

    /// The encoded message.
    ///
    /// # Errors
    /// Never; the signature is the library's.
    fn write_to_bytes(&self) -> Result<Vec<u8>, ProtobufError>;

    /// Merges an encoded message into this one.
    ///
    /// # Errors
    /// The bytes are no such message.
    fn merge_from_bytes(&mut self, bytes: &[u8]) -> Result<(), ProtobufError>;
}

impl<T: prost::Message> Message for T {
    fn compute_size(&self) -> u32 {
        u32::try_from(self.encoded_len()).unwrap_or(u32::MAX)
    }

    fn write_to_bytes(&self) -> Result<Vec<u8>, ProtobufError> {
        Ok(self.encode_to_vec())
    }

    fn merge_from_bytes(&mut self, bytes: &[u8]) -> Result<(), ProtobufError> {
        self.merge(bytes)
    }
}
