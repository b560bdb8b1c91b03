//! As much JSON as the headers of frames need.

use std::collections::BTreeMap;
use std::fmt;

const MAX_DEPTH: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_string())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Number(number)
    }
}

/// An object of these fields.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

impl Value {
    /// A field of an object, and `Null` for anything else.
    pub fn get(&self, name: &str) -> &Value {
        match self {
            Value::Object(fields) => fields.get(name).unwrap_or(&Value::Null),
            _ => &Value::Null,
        }
    }

    /// The text, or "".
    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_true(&self) -> bool {
        *self == Value::Bool(true)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => write!(out, "null"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Number(number) => write!(out, "{number}"),
            Value::Text(text) => write_text(out, text),
            Value::List(items) => {
                write!(out, "[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if place == 0 { "" } else { "," })?;
                }
                write!(out, "]")
            }
            Value::Object(fields) => {
                write!(out, "{{")?;
                for (place, (name, value)) in fields.iter().enumerate() {
                    write!(out, "{}", if place == 0 { "" } else { "," })?;
                    write_text(out, name)?;
                    write!(out, ":{value}")?;
                }
                write!(out, "}}")
            }
        }
    }
}

fn write_text(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(out, "\"")?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(out, "\\{letter}")?,
            control if (control as u32) < 0x20 => write!(out, "\\u{:04x}", control as u32)?,
            other => write!(out, "{other}")?,
        }
    }
    write!(out, "\"")
}

/// The value that a whole text is, or `None`.
pub fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { text, place: 0 };
    let value = reader.value(0)?;
    reader.space();
    (reader.place == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    place: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.place..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.place += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Whether the token is next, which is then read.
    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let there = self.rest().starts_with(token);
        self.place += if there { token.len() } else { 0 };
        there
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        for (word, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if self.eat(word) {
                return Some(value);
            }
        }
        match self.rest().chars().next()? {
            '"' => self.string().map(Value::Text),
            '[' => self.list(depth),
            '{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.eat("[");
        if self.eat("]") {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Some(Value::List(items));
            }
            self.eat(",").then_some(())?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut fields = BTreeMap::new();
        self.eat("{");
        if self.eat("}") {
            return Some(Value::Object(fields));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.eat(":").then_some(())?;
            fields.insert(name, self.value(depth + 1)?);
            if self.eat("}") {
                return Some(Value::Object(fields));
            }
            self.eat(",").then_some(())?;
        }
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = rest.find(|c: char| !"+-.0123456789eE".contains(c)).unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        self.place += end;
        number.is_finite().then_some(Value::Number(number))
    }

    fn string(&mut self) -> Option<String> {
        self.rest().starts_with('"').then_some(())?;
        self.place += 1;
        let mut units: Vec<u16> = Vec::new();
        loop {
            let letter = self.rest().chars().next()?;
            self.place += letter.len_utf8();
            match letter {
                '"' => return String::from_utf16(&units).ok(),
                '\\' => units.push(self.escaped()?),
                control if (control as u32) < 0x20 => return None,
                other => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            }
        }
    }

    /// What stands for itself after a backslash, as a unit of UTF-16.
    fn escaped(&mut self) -> Option<u16> {
        let letter = self.rest().chars().next()?;
        self.place += letter.len_utf8();
        match letter {
            '"' | '\\' | '/' => Some(letter as u16),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'u' => {
                let digits = self.rest().get(..4)?;
                let unit = u16::from_str_radix(digits, 16).ok()?;
                self.place += 4;
                Some(unit)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_worker_are_read() {
        let found =
            parse(r#" {"a": [1, -2.5e3, true, null], "b": {"c": "\u00e4\ud83d\ude00\n/"}} "#);
        let found = found.unwrap();
        assert_eq!(found.get("b").get("c").text(), "ä😀\n/");
        let Value::List(items) = found.get("a") else { panic!("no list") };
        assert_eq!(items[1].number(), Some(-2500.0));
        assert!(items[2].is_true());
        assert_eq!(parse(&found.to_string()), Some(found));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "{", "[1,", "{\"a\"}", "{\"a\":1,}", "\"\\x\"", "\"\\ud83d\"", "1e999"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["1 2", "nul", "\"\n\"", "NaN", "{a:1}"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}
