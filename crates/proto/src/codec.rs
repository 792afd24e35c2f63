//! How messages become the bytes of a gRPC call and back: protobuf, in buffers as large as what they hold.
//!
//! Owns only the sizes. The library's own codec begins each call with two buffers of 8 KiB, which a small request neither
//! fills nor gives back soon: a decoded key would keep all of it alive.

use prost::Message;
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Bytes a buffer begins with: an answer to a write fits, with its frame.
const BUFFER_BYTES: usize = 128;
/// Encoded bytes from which on a stream's messages are handed to the transport rather than gathered.
const YIELD_BYTES: usize = 32 * 1024;

/// The codec of every method: encodes `T`, decodes `U`.
#[derive(Clone, Copy, Debug)]
pub struct ExactCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for ExactCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ExactCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ExactEncoder<T>;
    type Decoder = ExactDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ExactEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ExactDecoder(PhantomData)
    }
}

/// Encodes `T`.
#[derive(Clone, Copy, Debug)]
pub struct ExactEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for ExactEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.encoded_len());
        item.encode(buffer).expect("the buffer has room for the length that the message says");
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// Decodes `U`.
#[derive(Clone, Copy, Debug)]
pub struct ExactDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for ExactDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
