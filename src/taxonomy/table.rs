//! Reading the tables that are part of the program: strict, so that a slip in a table is an error
//! with its line and not a source or field that is quietly gone.

use crate::utf16;

/// Calls `each` with every row of a table whose header is exactly `columns`.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn read<const N: usize>(
    text: &str,
    columns: [&str; N],
    mut each: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| e.to_string())?;
    if header.iter().ne(columns) {
        return Err(format!("the columns are not {}", columns.join(",")));
    }
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(|e| e.to_string())? {
        let line = row.position().map_or(0, csv::Position::line);
        let mut cells = [""; N];
        // As many as there are columns: the reader refuses a row of any other length.
        cells.iter_mut().zip(&row).for_each(|(cell, text)| *cell = text);
        each(cells).map_err(|e| format!("line {line}: {e}"))?;
    }
    Ok(())
}

/// The items of a cell, `;` between them.
///
/// # Errors
/// An item that is empty, begins or ends with a blank.
pub(super) fn items(cell: &str) -> Result<Vec<&str>, String> {
    let items: Vec<&str> = cell.split(';').collect();
    match items.iter().find(|item| item.is_empty() || item.trim() != **item) {
        Some(item) => Err(format!("item {item:?} in {cell:?}")),
        None => Ok(items),
    }
}

/// Like [`items`], folded; none for `*`.
pub(super) fn folded_items(cell: &str) -> Result<Vec<String>, String> {
    if cell == "*" {
        return Ok(Vec::new());
    }
    Ok(items(cell)?.into_iter().map(utf16::folded).collect())
}

/// Event ids, sorted; `None` for `*`.
pub(super) fn event_ids(cell: &str) -> Result<Option<Vec<u32>>, String> {
    if cell == "*" {
        return Ok(None);
    }
    let id = |item: &str| item.parse::<u32>().map_err(|e| format!("event id {item:?}: {e}"));
    let mut ids = items(cell)?.into_iter().map(id).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    Ok(Some(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_strictly() {
        let mut seen = Vec::new();
        let mut keep = |[a, b]: [&str; 2]| {
            seen.push(format!("{a}|{b}"));
            if a == "bad" { Err("no".into()) } else { Ok(()) }
        };
        assert_eq!(read("# note\na,b\n1,\"2,3\"\n", ["a", "b"], &mut keep), Ok(()));
        assert_eq!(read("a,c\n", ["a", "b"], &mut keep), Err("the columns are not a,b".into()));
        assert!(read("a,b\n1,2,3\n", ["a", "b"], &mut keep).is_err());
        assert_eq!(read("a,b\n1,2\nbad,\n", ["a", "b"], &mut keep), Err("line 3: no".into()));
        assert_eq!(seen, ["1|2,3", "1|2", "bad|"]);
    }

    #[test]
    fn cells_are_read_strictly() {
        assert_eq!(items("a;b c"), Ok(vec!["a", "b c"]));
        assert!(items("a;;b").is_err() && items("a; b").is_err() && items("").is_err());
        assert_eq!(folded_items("*"), Ok(vec![]));
        assert_eq!(folded_items("Ab;C"), Ok(vec!["ab".to_owned(), "c".to_owned()]));
        assert_eq!(event_ids("7;4"), Ok(Some(vec![4, 7])));
        assert_eq!(event_ids("*"), Ok(None));
        assert!(event_ids("4-7").is_err() && event_ids("").is_err());
    }
}
