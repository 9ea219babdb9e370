//! [`read_entry`]: an endpoint as the value of a key.

use serde_json::Value;

use crate::address::{EndpointAddress, Scheme};
use crate::setup::EndpointSetup;

/// The longest value that is read.
const LONGEST: usize = 4096;

/// The greatest weight.
const HEAVIEST: u32 = 1000;

/// Reads a value.
///
/// # Errors
///
/// Why it is no endpoint.
pub(super) fn read_entry(value: &[u8], scheme: Scheme) -> Result<EndpointSetup, String> {
    if value.len() > LONGEST {
        return Err(format!("the value has more than {LONGEST} bytes"));
    }
    let text = str::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())?;
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(EndpointSetup::from(read_address(text, scheme)?));
    }
    let written: Value =
        serde_json::from_str(text).map_err(|error| format!("the value is not JSON: {error}"))?;
    // Other keys are whoever's wrote them.
    let address = written.get("address").and_then(Value::as_str);
    let address = address.ok_or_else(|| "the value has no address".to_owned())?;
    let mut endpoint = EndpointSetup::from(read_address(address, scheme)?);
    if let Some(weight) = written.get("weight") {
        endpoint.weight = read_weight(weight)?;
    }
    Ok(endpoint)
}

fn read_weight(weight: &Value) -> Result<u32, String> {
    let read = weight.as_u64().and_then(|it| u32::try_from(it).ok());
    read.filter(|it| (1..=HEAVIEST).contains(it))
        .ok_or_else(|| format!("its weight is not 1 to {HEAVIEST}"))
}

fn read_address(text: &str, scheme: Scheme) -> Result<EndpointAddress, String> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{}://{text}", scheme.as_str())
    };
    whole.parse().map_err(|_| {
        let shown: String = text.chars().take(100).collect();
        format!("{shown:?} is not an endpoint")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_is_an_address_or_an_object_with_one() {
        for (value, address, weight) in [
            ("http://10.0.0.1:80", "http://10.0.0.1:80", 1),
            (" api:81\n", "https://api:81", 1),
            (
                r#"{"address":"h2c://[::1]:9","weight":7,"zone":"b"}"#,
                "h2c://[::1]:9",
                7,
            ),
            (r#"{"address":"10.0.0.2:1"}"#, "https://10.0.0.2:1", 1),
        ] {
            let read = read_entry(value.as_bytes(), Scheme::Https).unwrap();
            assert_eq!(
                (read.address.to_string().as_str(), read.weight),
                (address, weight)
            );
        }
    }

    #[test]
    fn what_is_neither_is_told() {
        let long = "a".repeat(5000);
        for (value, why) in [
            ("", "is not an endpoint"),
            ("http://a/b", "is not an endpoint"),
            (r#"{"address":"a:1","weight":0}"#, "weight is not 1 to"),
            (r#"{"address":"a:1","weight":-1}"#, "weight is not 1 to"),
            (r#"{"weight":1}"#, "no address"),
            ("{", "not JSON"),
            (&long, "more than 4096 bytes"),
        ] {
            let error = read_entry(value.as_bytes(), Scheme::Http).unwrap_err();
            assert!(error.contains(why) && error.len() < 300, "{value}: {error}");
        }
        assert!(read_entry(b"\xff", Scheme::Http).is_err());
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd_to_be_told_of(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(error) = read_entry(&value, Scheme::Http) {
                prop_assert!(error.len() < 2000);
            }
        }
    }
}
