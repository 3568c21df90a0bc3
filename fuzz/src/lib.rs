//! What the fuzz targets do with their input: each function takes any bytes and panics where Harrier
//! breaks a promise. The same functions are run over `fuzz/seeds` by the tests.

use harrier::bytes::ReadAt;
use harrier::engine::{RuleSet, Scanner};
use harrier::event::{Event, Layout, Leaf, LeafId, LeafKind, Section, Value};
use harrier::evidence::image::{self, Kind, NoSiblings, Ntfs};
use harrier::evidence::{Access, Descend, Found, Source, State};
use harrier::evtx::{
    Bin, Carver, ChunkReport, Damage, DamageKind, Options, PIECE, Partial, Reader, Record, Scout,
    Sink, Stretch, open,
};
use harrier::sigma::rule::Dialect;
use harrier::sigma::{
    FilterRules, LoadOptions, LoadedRules, LogSourceFile, Member, Selection, load_bytes, load_str,
    read_log_sources,
};
use harrier::taxonomy::{self, EventKey, Mapping, Taxonomy};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The largest input that is looked at; what is larger only takes longer.
const MOST: usize = 1 << 17;

/// A field of a record: section, kind, name, text.
type Field = (Section, LeafKind, String, String);

/// Everything that a reader says.
#[derive(Default)]
struct Heard {
    /// Chunk, offset and fields; whether the slow lane read it.
    records: Vec<(u64, u64, Vec<Field>, bool)>,
    chunks: Vec<ChunkReport>,
    damage: Vec<Damage>,
}

impl Sink for Heard {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let mut fields = Vec::new();
        for (id, leaf) in record.layout().iter() {
            record.values(id, |value| {
                let text = value.to_text();
                let mut folded = Vec::new();
                value.append_folded(&mut folded);
                assert_eq!(harrier::utf16::folded(&text).into_bytes(), folded, "{value:?}");
                fields.push((leaf.section, leaf.kind, leaf.name.to_string(), text));
            });
        }
        let declined = record.declined().is_some();
        self.records.push((record.chunk(), record.offset(), fields, declined));
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.chunks.push(report);
    }

    fn damage(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

impl Heard {
    /// Every slot has one report, every count is that of what was handed over.
    fn check(&self, slots: u64) {
        assert_eq!(self.chunks.len() as u64, slots);
        for (report, n) in self.chunks.iter().zip(0..) {
            assert_eq!(report.chunk, n);
            let records = self.records.iter().filter(|r| r.0 == n).count() as u64;
            let damage = |is: fn(DamageKind) -> bool| {
                self.damage.iter().filter(|d| d.chunk == n && is(d.kind)).count() as u64
            };
            let gaps = damage(|kind| matches!(kind, DamageKind::Gap(_)));
            let unreadable = damage(|kind| kind == DamageKind::Record);
            let whole = damage(|kind| kind == DamageKind::Chunk);
            match &report.bin {
                Bin::Read(counts) => {
                    let told = (counts.records, counts.unreadable, counts.gaps, 0);
                    assert_eq!(told, (records, unreadable, gaps, whole));
                }
                Bin::Empty => assert_eq!((records, unreadable, gaps, whole), (0, 0, 0, 0)),
                Bin::Orphans(_) => panic!("a slot is no orphan"),
                Bin::Unreadable(_) => assert_eq!((records, unreadable, gaps, whole), (0, 0, 0, 1)),
            }
        }
    }
}

#[expect(clippy::ptr_arg, reason = "a slice is no object with a size, which `dyn ReadAt` needs")]
fn read(reader: &mut Reader, log: &Vec<u8>) -> Heard {
    let mut heard = Heard::default();
    let opened = open(log).expect("the header is sound");
    let flow = reader.read(log, &opened, 0..u64::MAX, &mut heard);
    assert!(flow.is_continue());
    heard.check(opened.slots);
    heard
}

/// The header of an empty log.
fn header() -> Vec<u8> {
    let log = forge::LogWriter::in_memory(forge::Options::new()).into_bytes();
    let mut log = log.expect("an empty log is written");
    log.truncate(forge::FILE_HEADER_SIZE);
    log
}

/// The input as the chunks of a log: read twice by one reader, and with the slack.
pub fn chunk(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let mut log = header();
    log.extend_from_slice(data);
    let mut reader = Reader::default();
    let first = read(&mut reader, &log);
    let again = read(&mut reader, &log);
    assert_eq!(first.records, again.records, "what was learnt changes nothing");
    read(&mut Reader::new(Options { recover: true, ..Options::default() }), &log);
}

/// The input as the content of a record between two sound ones, read by both lanes.
pub fn record(data: &[u8]) {
    let provider = forge::Provider::classic("Example");
    let event = forge::Event::new(provider, 1, "Example").data([("F", "x")]);
    let mut log = forge::LogWriter::in_memory(forge::Options::new());
    let content = log.push(&event).and_then(|_| log.push_bytes(forge::FileTime(1), data));
    if content.is_err() || log.push(&event).is_err() {
        return;
    }
    let log = log.into_bytes().expect("the log is written");
    let fast = read(&mut Reader::default(), &log);
    let slow = read(&mut Reader::new(Options { slow_only: true, ..Options::default() }), &log);
    let sound = |heard: &Heard| {
        let is = |fields: &Vec<Field>| fields.iter().any(|f| f.2 == "F" && f.3 == "x");
        heard.records.iter().filter(|r| is(&r.2)).count()
    };
    assert!(sound(&fast) >= 2 && sound(&slow) >= 2, "the neighbours are read");
    for (_, at, fields, declined) in &fast.records {
        let other = slow.records.iter().find(|r| r.1 == *at);
        if let Some((_, _, other, _)) = other.filter(|_| !declined) {
            assert_eq!(xml_text(fields), xml_text(other), "the lanes read one record alike");
        }
    }
}

/// Fields without what XML cannot carry.
fn xml_text(fields: &[Field]) -> Vec<Field> {
    let odd =
        |c: char| (c < ' ' && !"\t\r\n".contains(c)) || "\u{FFFE}\u{FFFF}\u{FFFD}".contains(c);
    let clean = |text: &str| text.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    fields.iter().map(|(s, k, name, text)| (*s, *k, name.clone(), clean(text))).collect()
}

/// An event of named values.
struct Made {
    layout: Arc<Layout>,
    values: Vec<Vec<String>>,
}

impl Event for Made {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
        self.values.get(leaf.index()).into_iter().flatten().for_each(|v| visit(Value::Text(v)));
    }
}

/// An event of lines `Name=value`; `@Name=` stands in System, `=value` is unnamed, and a line without
/// `=` is a further value of the leaf before it.
fn event(text: &str) -> Made {
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut values: Vec<Vec<String>> = Vec::new();
    for line in text.lines().take(200) {
        let Some((name, value)) = line.split_once('=') else {
            if let Some(last) = values.last_mut() {
                last.push(line.to_owned());
            }
            continue;
        };
        let (section, name) = match name.strip_prefix('@') {
            Some(name) => (Section::System, name),
            None => (Section::EventData, name),
        };
        let kind = if name.is_empty() { LeafKind::Unnamed } else { LeafKind::Named };
        let name = if name.is_empty() { "Data" } else { name };
        leaves.push(Leaf { section, kind, name: name.into() });
        values.push(vec![value.to_owned()]);
    }
    Made { layout: Layout::new(leaves), values }
}

/// Events of kinds that rules speak of.
const USUAL: &[&str] = &[
    "@Provider_Name=Microsoft-Windows-Sysmon\n@EventID=1\n@Channel=Microsoft-Windows-Sysmon/Operational\nF=ab\nImage=C:\\ab\nCommandLine=ab -a",
    "@Provider_Name=Microsoft-Windows-Security-Auditing\n@EventID=4688\n@Channel=Security\nNewProcessName=C:\\ab\nProcessId=0x1\nF=ab",
    "@EventID=ab\n=ab\n=1\n\nF=",
    "",
];

/// Loads, compiles and scans; both ways of scanning agree, also when all is known already.
fn scan_with(loaded: LoadedRules, events: &[Made]) {
    let documents = loaded.documents();
    assert!(loaded.rules.len() as u64 <= documents);
    for refused in &loaded.refused {
        assert!(!refused.reason.is_empty() && refused.origin.line > 0);
    }
    let Selection { rules, filters, .. } = loaded.select_all();
    let taxonomy = Taxonomy::builtin(taxonomy::Options::default());
    let set = RuleSet::compile_filtered(rules, filters, taxonomy);
    assert!(harrier::engine::lint(&set).is_sorted());
    let (mut fast, mut full) = (Scanner::new(&set), Scanner::new(&set));
    // Values are remembered at their second time and looked up from the third on.
    for event in std::iter::repeat_n(events, 4).flatten() {
        let hits = full.scan_full(event).to_vec();
        assert_eq!(fast.scan(event), hits, "scan and scan_full");
        assert_eq!(fast.filtered(), full.filtered(), "what filters take away");
        assert!(fast.filtered().iter().all(|taken| !hits.contains(&taken.rule)));
        if !hits.is_empty() {
            let mut fresh = Scanner::new(&set);
            let told = fresh.matched(event, &hits);
            assert_eq!(fast.matched(event, &hits), told, "what is kept of kinds changes nothing");
        }
    }
}

/// The input as a file of rules.
pub fn rule(data: &[u8]) {
    if data.len() <= MOST {
        let options = LoadOptions { lint: true, ..LoadOptions::default() };
        let loaded = load_bytes("fuzz.yml", data, &options);
        assert!(loaded.findings().is_sorted());
        scan_with(loaded, &USUAL.iter().map(|text| event(text)).collect::<Vec<_>>());
    }
}

/// Rules that others can refer to.
const REFERRED: &str = "title: One\nname: one\nid: 1\nlogsource: {product: windows}\ndetection: {s: {F: ab}, condition: s}\n---\n\
    title: Two\nname: two\nlogsource: {category: process_creation}\ndetection: {s: {Image: '*ab'}, condition: s}\n---\n\
    title: Counted\nname: counted\nlogsource: {product: windows}\ndetection: {s: {F: ab}, condition: s | count() > 2}\n---\n";

/// The input as documents that refer to others: every reference is to something that is there and
/// stands before what refers to it, whatever is selected, and in whatever parts it is loaded.
pub fn linked(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let text = String::from_utf8_lossy(data);
    let loaded = || load_str("fuzz.yml", &format!("{REFERRED}{text}"), &LoadOptions::default());
    check_links(&loaded());
    let mut parts = load_str("fuzz.yml", &text, &LoadOptions::default());
    check_links(&parts);
    parts.append(load_str("base.yml", REFERRED, &LoadOptions::default()));
    check_links(&parts);
    let some = |n: usize| (0..n).map(|n| n % 3 == 0).collect::<Vec<_>>();
    let all = loaded();
    let (rules, correlations) = (some(all.rules.len()), some(all.correlations.len()));
    let selection = all.select(&rules, &correlations);
    assert!(selection.correlations.iter().all(|c| !c.members.is_empty()));
    check_members(selection.correlations.iter().map(|c| &c.members[..]), selection.rules.len());
    scan_with(loaded(), &USUAL.iter().map(|text| event(text)).collect::<Vec<_>>());
}

fn check_links(loaded: &LoadedRules) {
    let rules = loaded.rules.len();
    check_members(loaded.correlations.iter().map(|c| &c.members[..]), rules);
    for correlation in &loaded.correlations {
        assert!(!correlation.range.is_empty(), "a range has a test");
        assert!(correlation.timespan.is_some_and(|span| span > 0) || correlation.aggregation);
        let members = correlation.members.len();
        let named = correlation.aliases.iter().flat_map(|alias| &alias.fields);
        assert!(named.into_iter().all(|(member, _)| *member < members));
    }
    for filter in &loaded.filters {
        if let FilterRules::These(these) = &filter.rules {
            assert!(these.is_sorted() && these.iter().all(|rule| *rule < rules));
        }
    }
    for told in
        loaded.refused.iter().map(|r| &r.origin).chain(loaded.warnings.iter().map(|w| &w.origin))
    {
        assert!(told.line > 0 && told.column > 0);
    }
}

fn check_members<'m>(of: impl Iterator<Item = &'m [Member]>, rules: usize) {
    for (index, members) in of.enumerate() {
        assert!(!members.is_empty());
        for (n, member) in members.iter().enumerate() {
            assert!(!members[..n].contains(member), "a member is named once");
            match member {
                Member::Rule(rule) => assert!(*rule < rules),
                Member::Correlation(inner) => assert!(*inner < index, "it stands before"),
            }
        }
    }
}

/// The input as rules, and after a NUL each an event.
pub fn scan(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if data.len() <= MOST {
        let mut parts = text.split('\0');
        let loaded = load_str("fuzz.yml", parts.next().unwrap_or(""), &LoadOptions::default());
        scan_with(loaded, &parts.take(16).map(event).collect::<Vec<_>>());
    }
}

/// The input as the condition of a rule over a few sections.
pub fn condition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if data.len() <= MOST {
        let quoted: String = text.chars().flat_map(char::escape_debug).collect();
        let quoted = quoted.replace("\\'", "'");
        let rule = format!(
            "title: t\nlogsource: {{product: windows}}\ndetection:\n  s: {{F: ab}}\n  s_2: {{F: null}}\n  \
             not_1: {{Image: '*ab'}}\n  _s: [ab]\n  condition: \"{quoted}\"\n"
        );
        let loaded = load_str("fuzz.yml", &rule, &LoadOptions::default());
        scan_with(loaded, &USUAL.iter().map(|text| event(text)).collect::<Vec<_>>());
    }
}

/// The input as a file of log sources: every entry is taken or told of, and what was taken can be
/// asked for.
pub fn log_sources(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let Ok(file) = read_log_sources(data) else { return };
    for mut taxonomy in
        [Taxonomy::without_log_sources(), Taxonomy::builtin(taxonomy::Options::default())]
    {
        let lost = taxonomy.add(&file);
        assert!(lost.iter().all(|fault| fault.entry_lost), "{lost:?}");
        check_log_sources(&taxonomy, &file, lost.len());
    }
}

fn check_log_sources(taxonomy: &Taxonomy, file: &LogSourceFile, lost: usize) {
    let views = taxonomy.views().collect::<Vec<_>>();
    let layout = Layout::new(Vec::new());
    let key = EventKey { channel: "c", provider: "p", event_id: Some(1) };
    let mut unknown = 0;
    for entry in &file.entries {
        match taxonomy.sources(&entry.logsource, Dialect::Sigma) {
            Mapping::Sources(sources) => {
                assert!(!sources.is_empty() && sources.iter().all(|s| views.contains(&s.view)));
            }
            Mapping::NeverInEvtx { reason } => assert!(!reason.is_empty()),
            Mapping::OtherProduct | Mapping::Unknown => unknown += 1,
        }
        for name in entry.fields.iter().map(|field| &field.name) {
            for &view in views.iter().take(32) {
                assert!(taxonomy.resolve(view, name, &key, &layout).is_empty());
                assert!(views.contains(&taxonomy.canonical_view(view, name)));
            }
        }
    }
    assert!(unknown <= lost, "{unknown} log sources are not known, {lost} were lost");
}

/// The largest image that edits can make: an empty VHDX has 8 MiB.
const MOST_IMAGE: usize = 16 << 20;

/// The input as a file: as it is, or, behind `EDIT`, as pieces of a file of zeros, each an offset and
/// a length of four bytes and that many bytes.
fn file(data: &[u8]) -> Vec<u8> {
    let Some(mut rest) = data.strip_prefix(b"EDIT") else { return data.to_vec() };
    let mut file = Vec::new();
    while let Some((place, tail)) = rest.split_at_checked(8) {
        let number = |at: usize| harrier::bytes::u32(place, at).unwrap_or(0) as usize;
        let (at, len) = (number(0), number(4).min(tail.len()));
        let (piece, next) = tail.split_at(len);
        rest = next;
        let Some(end) = at.checked_add(len).filter(|end| *end <= MOST_IMAGE) else { continue };
        file.resize(file.len().max(end), 0);
        file[at..end].copy_from_slice(piece);
    }
    file
}

/// Reads at both ends, in the middle and beyond.
fn taste(bytes: &dyn ReadAt) {
    let mut buf = vec![0; 66_000];
    let size = bytes.size();
    for at in [0, 1000, size / 2, size.saturating_sub(1), size, u64::MAX] {
        if let Ok(n) = bytes.read_at(at, &mut buf) {
            assert!(n <= buf.len() && (n as u64) <= size.saturating_sub(at));
        }
    }
}

fn look_at_volumes(disk: &Arc<dyn ReadAt>) {
    for volume in image::volumes(disk).volumes {
        taste(&*volume.bytes);
        if volume.kind == Kind::Ntfs {
            look_at_ntfs(&volume.bytes);
        }
    }
}

fn look_at_ntfs(volume: &Arc<dyn ReadAt>) {
    let Ok(ntfs) = Ntfs::open(volume.clone()) else { return };
    let scan = ntfs.scan_with_slack();
    let apart = |ranges: &[std::ops::Range<u64>]| {
        ranges.iter().all(|range| range.start < range.end)
            && ranges.windows(2).all(|pair| pair[0].end < pair[1].start)
    };
    assert!(apart(&scan.slack), "slack is in order");
    assert!(scan.torn + scan.unreadable <= scan.records);
    for file in scan.files {
        assert!(!file.path.is_empty() && file.valid_len <= file.size);
        assert!(file.extents.iter().all(|extent| extent.start < extent.end));
        taste(&*file.bytes);
    }
    if let Ok(free) = ntfs.unallocated() {
        assert!(free.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}

/// The input as a disk image in a container, or as a disk.
pub fn disk_image(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let disk: Arc<dyn ReadAt> = Arc::new(file(data));
    match image::open(&disk, &NoSiblings) {
        Ok(Some(image)) => {
            taste(&*image.bytes);
            look_at_volumes(&image.bytes);
            assert!(image.damage.ranges().iter().all(|range| range.len > 0));
        }
        Ok(None) => look_at_volumes(&disk),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

/// The size of a record of the file table, and where the table begins.
const RECORD: usize = 1024;
const TABLE: usize = 4096;

/// The input as the records of a file table, from the second on; they are sealed as when they are
/// written.
pub fn file_table(data: &[u8]) {
    if data.len() > MOST {
        return;
    }
    let records = data.len().div_ceil(RECORD) + 1;
    let mut volume = vec![0; TABLE + records * RECORD + (64 << 10)];
    let clusters = (volume.len() / 512) as u64;
    volume[3..11].copy_from_slice(b"NTFS    ");
    volume[11..14].copy_from_slice(&[0, 2, 1]);
    volume[40..48].copy_from_slice(&clusters.to_le_bytes());
    volume[48..56].copy_from_slice(&((TABLE / 512) as u64).to_le_bytes());
    volume[64] = 0xf6;
    volume[510..512].copy_from_slice(&[0x55, 0xaa]);
    let own = own_record(records);
    volume[TABLE..TABLE + RECORD].copy_from_slice(&own);
    volume[TABLE + RECORD..TABLE + RECORD + data.len()].copy_from_slice(data);
    let table = &mut volume[TABLE..TABLE + records * RECORD];
    table.chunks_exact_mut(RECORD).for_each(seal_record);
    // What follows the table is the start of a log.
    volume[TABLE + records * RECORD..].chunks_exact_mut(512).for_each(|cluster| {
        cluster[..8].copy_from_slice(b"ElfFile\0");
    });
    look_at_ntfs(&(Arc::new(volume) as Arc<dyn ReadAt>));
}

/// The file table's own record: one run.
fn own_record(records: usize) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let size = (records * RECORD) as u64;
    record[..4].copy_from_slice(b"FILE");
    record[20] = 56;
    record[22] = 1;
    let data = &mut record[56..];
    data[0] = 0x80;
    data[4] = 80;
    data[8] = 1;
    data[32] = 64;
    for at in [40, 48, 56] {
        data[at..at + 8].copy_from_slice(&size.to_le_bytes());
    }
    data[64] = 0x14;
    data[65..69].copy_from_slice(&((records * RECORD / 512) as u32).to_le_bytes());
    data[69] = (TABLE / 512) as u8;
    data[80..84].fill(0xff);
    record
}

/// Replaces the last two bytes of every 512 of a record by a check value.
fn seal_record(record: &mut [u8]) {
    record[4..8].copy_from_slice(&[48, 0, 3, 0]);
    record[48..50].copy_from_slice(&[1, 0]);
    for n in 1..3 {
        let at = n * 512 - 2;
        let original = [record[at], record[at + 1]];
        record[48 + 2 * n..50 + 2 * n].copy_from_slice(&original);
        record[at..at + 2].copy_from_slice(&[1, 0]);
    }
}

/// Raw bytes are searched: what is found is the same however they are cut, every orphan is read, told
/// of as damage, or handed over as lost, and nothing begins where it was not asked for.
pub fn carve(data: &[u8]) {
    let source = data.get(..MOST).unwrap_or(data).to_vec();
    let size = source.len() as u64;
    let search = |window: u64| {
        let (mut carver, mut heard) = (Carver::new(), Heard::default());
        let (mut all, mut lost) = (Stretch::default(), Vec::new());
        let mut at = 0;
        while at < size {
            let end = at.saturating_add(window).min(size);
            let told = heard.records.len();
            let range = at..end;
            let ranges = std::slice::from_ref(&range);
            let (stretch, flow) = carver.read(&source, ranges, &mut heard, &mut lost);
            assert!(flow.is_continue());
            all.add(stretch);
            // A whole chunk's records may lie behind the window in which it begins.
            let reach = at..end + (1 << 16);
            assert!(heard.records[told..].iter().all(|record| reach.contains(&record.1)));
            at = end;
        }
        let mut orphans = lost.len() as u64;
        for report in &heard.chunks {
            if let Bin::Orphans(counts) = &report.bin {
                orphans += counts.records + counts.unreadable;
            }
        }
        assert_eq!(orphans, all.orphans);
        let whole = |report: &&ChunkReport| !matches!(report.bin, Bin::Orphans(_));
        assert_eq!(heard.chunks.iter().filter(whole).count() as u64, all.valid);
        heard.records.sort_by(|a, b| (a.1, &a.2.len()).cmp(&(b.1, &b.2.len())));
        lost.sort_by_key(|lost| lost.offset);
        let records: Vec<(u64, Vec<String>)> = heard
            .records
            .iter()
            .map(|record| (record.1, record.2.iter().map(|field| field.3.clone()).collect()))
            .collect();
        (all, records, lost)
    };
    let whole = search(u64::MAX);
    assert_eq!(search(5_000), whole);
    for lost in &whole.2 {
        let partial = Partial::of(&lost.record);
        assert!(partial.system.len() + partial.data.len() <= lost.record.len());
    }
    // A scout sends to everything that begins anywhere.
    let mut pieces = std::collections::BTreeSet::new();
    let everywhere = 0..size;
    Scout::new().look(&source, std::slice::from_ref(&everywhere), &mut |piece| {
        pieces.insert(piece);
    });
    let orphans = whole.2.iter().map(|lost| lost.offset);
    let begin = whole.1.iter().map(|record| record.0).chain(orphans);
    // A record of a chunk may lie behind the piece in which the chunk begins.
    let near = |at: u64| pieces.iter().any(|piece| at / PIECE == *piece || at / PIECE == piece + 1);
    assert!(begin.into_iter().all(near), "{pieces:?}");
}

/// Whatever is in a container, it is found in an end of time, and what is found can be read or not.
pub fn container(data: &[u8]) {
    let data = data.get(..data.len().min(MOST)).unwrap_or(data);
    let file = Source::file("case".into(), 0, false, &Access::default());
    let source = file.within("case!x".to_owned(), Arc::new(data.to_vec()), State::Live);
    let mut containers = 0;
    let mut found = 0;
    for next in Descend::new(std::iter::once(Found::Source(source))).take(4096) {
        found += 1;
        match next {
            Found::Source(source) => {
                assert!(source.name().starts_with("case!x"));
                let Ok(bytes) = source.open() else { continue };
                let mut buf = [0; 5000];
                for at in [0, 4096, bytes.size().saturating_sub(1), bytes.size(), u64::MAX] {
                    let read = bytes.read_at(at, &mut buf).unwrap_or(0) as u64;
                    assert!(read <= bytes.size().saturating_sub(at), "{at}: {read}");
                }
            }
            Found::Container(_) => containers += 1,
            _ => {}
        }
    }
    assert!(containers <= found);
}
