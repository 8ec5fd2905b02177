//! Bytes that no honest peer sends.

use brine_model::value::{Map, Value};
use brine_wire::agent::{AgentRequest, ServerRequest};
use brine_wire::codec::{self, DecodeError, MAX};
use brine_wire::enroll::EnrollRequest;
use brine_wire::operator::{OperatorReply, OperatorRequest};
use proptest::prelude::*;

use crate::samples::Samples;

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = codec::encode(&OperatorRequest::Status).expect("encodable");
    bytes.push(0);
    let decoded = codec::decode::<OperatorRequest>(&bytes, MAX);
    assert_eq!(decoded, Err(DecodeError::Trailing(1)));
}

#[test]
fn the_limit_counts_before_decoding() {
    let decoded = codec::decode::<Vec<u8>>(&[0; 9], 8);
    assert_eq!(
        decoded,
        Err(DecodeError::TooLong {
            length: 9,
            limit: 8
        })
    );
    // Nobody gets more than the maximum.
    let decoded = codec::decode::<Vec<u8>>(&vec![0; MAX + 1], usize::MAX);
    assert_eq!(
        decoded,
        Err(DecodeError::TooLong {
            length: MAX + 1,
            limit: MAX
        })
    );
}

#[test]
fn announced_lengths_are_not_believed() {
    // 0xfd: the length follows in eight bytes.
    let mut bytes = vec![0xfd];
    bytes.extend_from_slice(&(1_u64 << 62).to_le_bytes());
    for length in [1_u64 << 62, u64::MAX, (MAX as u64) + 1, 1 << 40] {
        bytes[1..].copy_from_slice(&length.to_le_bytes());
        assert!(codec::decode::<String>(&bytes, MAX).is_err());
        assert!(codec::decode::<Vec<Value>>(&bytes, MAX).is_err());
        assert!(codec::decode::<Map>(&bytes, MAX).is_err());
    }
}

#[test]
fn large_messages_of_small_numbers_fit() {
    let numbers = vec![1_u64; 3 << 20];
    let bytes = codec::encode(&numbers).expect("encodable");
    assert_eq!(codec::decode::<Vec<u64>>(&bytes, MAX), Ok(numbers));
}

#[test]
fn deep_values_are_an_error_and_not_the_end() {
    let nested = |depth: usize| {
        // A list with one element, again and again; then null.
        let mut bytes = [5, 1].repeat(depth);
        bytes.push(0);
        bytes
    };
    let decoded = codec::decode::<Value>(&nested(1_000_000), MAX);
    let Err(DecodeError::Malformed(why)) = decoded else {
        panic!("decoded")
    };
    assert!(why.contains("nested too deeply"), "{why}");
    assert!(codec::decode::<Value>(&nested(50), MAX).is_ok());
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    fn check<T: Samples + serde::Serialize + serde::de::DeserializeOwned>() {
        for (_, sample) in T::samples() {
            let bytes = codec::encode(&sample).expect("encodable");
            for cut in 0..bytes.len() {
                assert!(codec::decode::<T>(&bytes[..cut], MAX).is_err());
            }
            for position in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[position] ^= 0xff;
                let _ = codec::decode::<T>(&flipped, MAX);
            }
        }
    }
    check::<EnrollRequest>();
    check::<AgentRequest>();
    check::<ServerRequest>();
    check::<OperatorRequest>();
    check::<OperatorReply>();
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (-1e300..1e300).prop_map(Value::Float),
        ".*".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::btree_map(".{0,8}", inner, 0..8).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn values_survive_the_way(value in value()) {
        let bytes = codec::encode(&value).expect("encodable");
        prop_assert_eq!(codec::decode::<Value>(&bytes, MAX), Ok(value));
    }

    #[test]
    fn requests_survive_the_way(
        target in ".*", skip_unreachable: bool, wait: bool, approved: bool, resume: Option<u64>,
    ) {
        let resume = resume.map(brine_wire::job::RunId);
        let start = brine_wire::operator::Start {
            target, skip_unreachable, wait, agreed: None, resume,
        };
        let request = OperatorRequest::StartApply { start, approved };
        let bytes = codec::encode(&request).expect("encodable");
        prop_assert_eq!(codec::decode::<OperatorRequest>(&bytes, MAX), Ok(request));
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = codec::decode::<EnrollRequest>(&bytes, MAX);
        let _ = codec::decode::<AgentRequest>(&bytes, MAX);
        let _ = codec::decode::<ServerRequest>(&bytes, MAX);
        let _ = codec::decode::<OperatorRequest>(&bytes, MAX);
        let _ = codec::decode::<OperatorReply>(&bytes, MAX);
        let _ = codec::decode::<Value>(&bytes, MAX);
    }
}
