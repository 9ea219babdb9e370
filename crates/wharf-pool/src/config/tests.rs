//! Settings are read strictly, written back as they were, and patched whole or not at all.

use super::*;

fn patch(key: &str, value: &Value) -> Result<PoolPatch, SetError> {
    let mut patch = PoolPatch::default();
    patch.set(key, value).map(|()| patch)
}

#[test]
fn every_default_is_read_back_as_it_is_written() {
    let config = PoolConfig::<()>::default();
    let mut patch = PoolPatch::default();
    for (key, value) in config.values() {
        patch
            .set(key.name, &value)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let (again, differences) = config.patched(&patch).unwrap();
    assert_eq!((again, differences), (config, Vec::new()));
}

#[test]
fn a_bare_number_is_no_duration_and_zero_is_no_limit() {
    for (key, value) in [
        ("keep_alive_timeout", Value::Integer(75)),
        ("keep_alive_timeout", Value::text("75")),
        ("keep_alive_timeout", Value::text("0s")),
        ("keep_alive_timeout", Value::text("1500us")),
        ("keep_alive_timeout", Value::text("off")),
        ("min_data_rate", Value::Integer(240)),
        ("max_connections", Value::Integer(0)),
        ("max_connections", Value::Integer(-1)),
        ("max_connections", Value::Integer(i64::MAX)),
        ("when_full", Value::text("explode")),
        ("exempt", Value::text("10.0.0.0/8")),
    ] {
        let error = patch(key, &value).unwrap_err();
        assert!(
            matches!(error, SetError::BadValue { .. }),
            "{key} = {value}: {error}"
        );
    }
}

#[test]
fn an_optional_setting_can_be_switched_off() {
    let config = PoolConfig::<()>::default();
    for off in [Value::Off, Value::text("off")] {
        let (next, differences) = config
            .patched(&patch("request_timeout", &off).unwrap())
            .unwrap();
        assert_eq!(next.common.request_timeout, None);
        assert_eq!(differences[0].old, Value::text("30s"));
        assert_eq!(differences[0].new, Value::Off);
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    assert_eq!(
        patch("keepalive_timeout", &Value::text("1s")).unwrap_err(),
        SetError::UnknownKey {
            key: "keepalive_timeout".to_owned(),
            nearest: Some("keep_alive_timeout")
        }
    );
    assert_eq!(
        patch("zzz", &Value::Off).unwrap_err(),
        SetError::unknown("zzz")
    );
}

#[test]
fn sizes_and_rates_keep_their_unit() {
    for (text, bytes) in [
        ("1B", 1),
        ("32KiB", 32768),
        ("4 MiB", 4 << 20),
        ("2GiB", 2 << 30),
        ("10kB", 10_000),
    ] {
        let size = ByteSize::read(&Value::text(text)).unwrap();
        assert_eq!(size.get(), bytes);
        assert_eq!(ByteSize::read(&size.write()).unwrap(), size);
    }
    for bad in ["32", "KiB", "1.5MiB", "-1B", "99999999TiB", "0B", "1 kib"] {
        assert!(ByteSize::read(&Value::text(bad)).is_err(), "{bad}");
    }
    assert_eq!(
        ByteRate::read(&Value::text("240B/s")).unwrap(),
        ByteRate::per_second(240)
    );
    assert_eq!(
        PerSecond::read(&Value::text("100/s")).unwrap(),
        PerSecond::new(100).unwrap()
    );
}
