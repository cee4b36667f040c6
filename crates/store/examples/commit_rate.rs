//! Measures commits per second and their latency, and how long a store of many rows takes to open.
//!
//! `cargo run --release -p weft-store --example commit_rate -- [directory] [callers] [seconds] [rows]`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use imbl::HashMap;
use weft_store::{DecodeError, Model, Options, Proposal, Row, Snapshot, Space, Store};

#[derive(Clone, Default)]
struct Table(HashMap<Vec<u8>, Vec<u8>>);

impl Model for Table {
    type Write = (Vec<u8>, Option<Vec<u8>>);

    fn encode((key, value): &Self::Write) -> Row {
        Row { space: Space::Model, key: key.clone(), value: value.clone() }
    }

    fn decode(row: &Row) -> Result<Self::Write, DecodeError> {
        Ok((row.key.clone(), row.value.clone()))
    }

    fn apply(&mut self, (key, value): &Self::Write) {
        match value {
            Some(value) => self.0.insert(key.clone(), value.clone()),
            None => self.0.remove(key),
        };
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let callers = arguments.next().map_or(Ok(16), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let rows = arguments.next().map_or(Ok(300_000), |text| text.parse())?;
    let path = directory.join(format!("commit-rate-{}", std::process::id()));
    let result = tokio::runtime::Builder::new_multi_thread().build()?.block_on(async {
        commit_rate(&path, callers, Duration::from_secs(seconds)).await?;
        open_time(&path, rows).await
    });
    std::fs::remove_file(&path)?;
    result
}

async fn commit_rate(path: &Path, callers: usize, time: Duration) -> Result<(), Failure> {
    let store = Arc::new(Store::<Table>::open(path, Options::default())?);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < time {
                let key = format!("{caller}/{}", latencies.len() % 10_000).into_bytes();
                let begun = Instant::now();
                let write = |head: &Snapshot<Table>| {
                    let writes = vec![(key.clone(), Some(vec![7; 200]))];
                    Ok::<_, Failure>((Proposal::on(&head.model, writes), ()))
                };
                store.transact("measured", write).await.map_err(|e| e.to_string())?;
                latencies.push(begun.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let quantile = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    println!(
        "{callers} callers: {rate:.0} commits/s, p50 {:?}, p99 {:?}, worst {:?}",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    Ok(())
}

async fn open_time(path: &Path, rows: usize) -> Result<(), Failure> {
    std::fs::remove_file(path)?;
    let store = Store::<Table>::open(path, Options::default())?;
    let begun = Instant::now();
    for chunk in (0..rows).collect::<Vec<_>>().chunks(10_000) {
        let writes: Vec<_> =
            chunk.iter().map(|row| (format!("row/{row}").into_bytes(), Some(vec![7; 200]))).collect();
        store
            .transact("fill", |head| Ok::<_, Failure>((Proposal::on(&head.model, writes.clone()), ())))
            .await
            .map_err(|e| e.to_string())?;
    }
    println!("{rows} rows filled in {:?}", begun.elapsed());
    let killed = path.with_extension("killed");
    std::fs::copy(path, &killed)?; // as a crash would leave it
    drop(store);
    for (what, path) in [("after a clean end", path), ("after a crash", &killed)] {
        let begun = Instant::now();
        let store = Store::<Table>::open(path, Options::default())?;
        println!("{} rows opened {what} in {:?}", store.durable().model.0.len(), begun.elapsed());
    }
    std::fs::remove_file(killed)?;
    Ok(())
}
