//! From a message to JSON as etcd's gateway writes it: proto names, 64-bit numbers as strings, zero fields left out.

use super::call::Failure;
use prost_reflect::{DynamicMessage, SerializeOptions};

/// The message as one line of JSON.
pub(super) fn json(message: &DynamicMessage) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(true)
        .stringify_64_bit_integers(true);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &options)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// A failed call as JSON.
pub(super) fn failure(failure: &Failure) -> String {
    let message = serde_json::Value::String(failure.message.clone());
    match failure.code {
        tonic::Code::Ok => "{}".to_owned(),
        code if failure.message.is_empty() => format!("{{\"code\":{}}}", i32::from(code)),
        code => format!("{{\"code\":{},\"message\":{message}}}", i32::from(code)),
    }
}

/// One line of a stream. Go writes what it wraps with the characters of HTML escaped.
pub(super) fn line(name: &str, json: &str) -> String {
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    format!("{{\"{name}\":{json}}}\n")
}
