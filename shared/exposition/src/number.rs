//! Numbers as Go's `strconv.FormatFloat(value, 'g', -1, 64)` writes them: the shortest digits that read back as the
//! same number, with an exponent from a million on and below a ten-thousandth.

use std::fmt::Write as _;

/// What a sample's value may be. All are written as the 64-bit float that they become in a database.
pub trait Number: Copy {
    fn write(self, text: &mut String);
}

/// From here on there is an exponent.
const EXPONENT_FROM: u64 = 1_000_000;

/// Below, each integer is a float, and no other decimal with as few digits is: its own digits are the shortest.
const EXACT_BELOW: u64 = 1 << 53;

impl Number for f64 {
    fn write(self, text: &mut String) {
        if self.is_nan() {
            text.push_str("NaN");
        } else if self.is_infinite() {
            text.push_str(if self > 0.0 { "+Inf" } else { "-Inf" });
        } else if self == 0.0 {
            text.push('0');
        } else if (1e-4..1e6).contains(&self.abs()) {
            let _ = write!(text, "{self}");
        } else {
            scientific(self, text);
        }
    }
}

/// At least two digits of exponent, with its sign.
fn scientific(value: f64, text: &mut String) {
    let begin = text.len();
    let _ = write!(text, "{value:e}");
    let Some(exponent) = text[begin..].rfind('e').map(|at| begin + at + 1) else {
        return;
    };
    if !text[exponent..].starts_with('-') {
        text.insert(exponent, '+');
    }
    if text.len() - exponent < "+00".len() {
        text.insert(exponent + 1, '0');
    }
}

impl Number for u64 {
    fn write(self, text: &mut String) {
        let mut digits = itoa::Buffer::new();
        if self < EXPONENT_FROM {
            text.push_str(digits.format(self));
        } else if self < EXACT_BELOW {
            let digits = digits.format(self);
            let (first, rest) = digits.split_at(1);
            text.push_str(first);
            let fraction = rest.trim_end_matches('0');
            if !fraction.is_empty() {
                text.push('.');
                text.push_str(fraction);
            }
            // At least two digits of exponent, as below.
            text.push_str(if rest.len() < 10 { "e+0" } else { "e+" });
            text.push_str(itoa::Buffer::new().format(rest.len()));
        } else {
            #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
            scientific(self as f64, text);
        }
    }
}

impl Number for i64 {
    fn write(self, text: &mut String) {
        if self < 0 {
            text.push('-');
        }
        self.unsigned_abs().write(text);
    }
}

impl Number for u32 {
    fn write(self, text: &mut String) {
        u64::from(self).write(text);
    }
}

impl Number for i32 {
    fn write(self, text: &mut String) {
        i64::from(self).write(text);
    }
}

impl Number for usize {
    fn write(self, text: &mut String) {
        (self as u64).write(text);
    }
}

/// 1 or 0.
impl Number for bool {
    fn write(self, text: &mut String) {
        text.push(if self { '1' } else { '0' });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: impl Number) -> String {
        let mut text = String::new();
        value.write(&mut text);
        text
    }

    #[test]
    fn as_prometheus_libraries_write_them() {
        // Each was printed by strconv.FormatFloat.
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.25, "0.25"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_5, "1.25e-05"),
            (204_022.0, "204022"),
            (999_999.0, "999999"),
            (999_999.5, "999999.5"),
            (1_000_000.0, "1e+06"),
            (1_795_716_416.0, "1.795716416e+09"),
            (2_097_152.0, "2.097152e+06"),
            (1e21, "1e+21"),
            (1e100, "1e+100"),
            (18_446_744_073_709_551_615.0, "1.8446744073709552e+19"),
            (123_456.78, "123456.78"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
        assert_eq!(text(u64::MAX), "1.8446744073709552e+19");
        assert_eq!(text(9_007_199_254_740_991_u64), "9.007199254740991e+15");
        assert_eq!(text(10_000_000_000_u64), "1e+10");
        assert_eq!(text(9_999_999_999_u64), "9.999999999e+09");
        assert_eq!(text(-1_500_000_i64), "-1.5e+06");
        assert_eq!(text(true), "1");
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_the_same(value in any::<f64>()) {
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().unwrap(), value);
        }

        #[test]
        fn integers_are_written_as_floats(value in any::<u64>(), shift in 0..64, zeros in 0..12_u32) {
            // Large ones and small ones, and round ones.
            let value = value >> shift;
            let round = (value >> 40) * 10_u64.pow(zeros);
            prop_assert_eq!(text(value), text(value as f64));
            prop_assert_eq!(text(round), text(round as f64));
        }
    }
}
