//! Shares of a whole, as bars and as percentages.

use super::path::Characters;

/// A bar in eighths of a cell, to distinguish small shares: `███▌`; in ASCII `####`.
pub fn bar(part: u64, whole: u64, cells: usize, characters: Characters) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let length = (u128::from(part) * cells as u128 * 8).checked_div(u128::from(whole)).unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(0).min(cells * 8);
    if characters == Characters::Ascii {
        return "#".repeat((length + 4) / 8);
    }
    "█".repeat(length / 8) + EIGHTHS[length % 8]
}

/// A rounded percentage: `43 %`. Only zero is `0 %`, and only the whole is `100 %`.
pub fn percentage(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole));
    match (part * 100 + whole / 2).checked_div(whole) {
        Some(0) if part > 0 => "<1 %".into(),
        Some(100) if part < whole => ">99 %".into(),
        Some(share) => format!("{share} %"),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_drawn_and_written() {
        let drawn = |part, whole| (bar(part, whole, 10, Characters::Unicode), percentage(part, whole));
        assert_eq!(drawn(1, 1), ("██████████".into(), "100 %".into()));
        assert_eq!(drawn(43, 100), ("████▎".into(), "43 %".into()));
        assert_eq!(bar(47, 100, 10, Characters::Ascii), "#####");
        assert_eq!(drawn(1, 1000), (String::new(), "<1 %".into()));
        assert_eq!(
            [(5, 1000), (437, 1000), (996, 1000)].map(|(part, all)| drawn(part, all).1),
            ["1 %", "44 %", ">99 %"]
        );
        assert_eq!(drawn(0, 10), (String::new(), "0 %".into()));
        assert_eq!(drawn(0, 0), (String::new(), "-".into()));
        assert_eq!(drawn(u64::MAX, u64::MAX).1, "100 %");
    }
}
