//! Text that is read on a terminal, in lines that fit it.

use super::path;

/// Wraps the text at blanks to a maximum number of columns (of the first line and of the others); a longer word is
/// broken at the line end.
pub fn wrapped(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut room, mut used) = (first, 0);
    for word in text.split(' ') {
        let width = path::width(word);
        if used > 0 && used + 1 + width > room {
            lines.push(String::new());
            (room, used) = (others, 0);
        } else if used > 0 {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
            used += 1;
        }
        for character in word.chars() {
            let width = path::width(character.encode_utf8(&mut [0; 4]));
            if used + width > room {
                lines.push(String::new());
                (room, used) = (others, 0);
            }
            lines.last_mut().into_iter().for_each(|line| line.push(character));
            used += width;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_a_line_is_broken_and_whole() {
        assert_eq!(wrapped("ab cdefgh i", 4, 3), ["ab", "cde", "fgh", "i"]);
        assert_eq!(wrapped("東京東京", 4, 4), ["東京", "東京"]);
        assert_eq!(wrapped("", 4, 4), [""]);
    }
}
