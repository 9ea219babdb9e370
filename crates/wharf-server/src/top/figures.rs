//! Figures out of an answer: what is not there is nothing, since the server may be older or newer.

use serde_json::Value;

/// The number at that place.
pub(super) fn number(of: &Value, place: &str) -> f64 {
    of.pointer(place).and_then(Value::as_f64).unwrap_or(0.0)
}

/// The count at that place.
pub(super) fn count(of: &Value, place: &str) -> u64 {
    of.pointer(place).and_then(Value::as_u64).unwrap_or(0)
}

/// The count at that place, if there is one.
pub(super) fn limit(of: &Value, place: &str) -> Option<u64> {
    of.pointer(place).and_then(Value::as_u64)
}

/// The text at that place.
pub(super) fn text<'a>(of: &'a Value, place: &str) -> &'a str {
    of.pointer(place).and_then(Value::as_str).unwrap_or("")
}

/// The list at that place.
pub(super) fn list<'a>(of: &'a Value, place: &str) -> &'a [Value] {
    of.pointer(place)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
