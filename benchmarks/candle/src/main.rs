//! The candle side: prefill and greedy decoding of a checkpoint, float32, on the CPU.
//!
//! Takes the token ids that `extracot bench --parity` wrote. Prints JSON lines as `extracot bench` does; with
//! --parity FILE it writes what it computes for the ids instead, and times nothing. Threads are those of
//! RAYON_NUM_THREADS.

mod model;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{D, Device, Tensor};
use clap::Parser;
use model::Decoder;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Model folder in Hugging Face layout: Llama or Qwen3
    #[arg(long)]
    model: PathBuf,
    /// Token ids, as `extracot bench --parity` wrote them
    #[arg(long)]
    ids: PathBuf,
    #[arg(long, value_delimiter = ',', default_value = "prefill,decode")]
    kinds: Vec<String>,
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,64")]
    decode_batches: Vec<NonZeroUsize>,
    #[arg(long, default_value = "5")]
    repeats: NonZeroUsize,
    /// Write what is computed, and time nothing
    #[arg(long, value_name = "FILE")]
    parity: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Ids {
    prefill: Option<Prefill>,
    decode: Option<Decode>,
}

#[derive(Deserialize)]
struct Prefill {
    token_ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Decode {
    new_tokens: usize,
    prompts: Vec<Vec<u32>>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let device = Device::Cpu;
    let ids = fs::read(&arguments.ids)
        .with_context(|| format!("cannot read {}", arguments.ids.display()))?;
    let ids: Ids = serde_json::from_slice(&ids)?;
    let mut model = Decoder::load(&arguments.model, &device)?;
    if let Some(path) = &arguments.parity {
        return write_parity(&mut model, &arguments, &ids, path);
    }
    let threads = candle_core::utils::get_num_threads();
    println!(
        "{}",
        json!({ "bench": "host", "candle": "0.11.1", "mkl": cfg!(feature = "mkl"), "threads": threads })
    );
    for kind in &arguments.kinds {
        match kind.as_str() {
            "prefill" => {
                let ids = &ids.prefill()?.token_ids;
                let line = measure("prefill".to_owned(), ids.len(), arguments.repeats, || {
                    last_logits(&mut model, ids).map(drop)
                })?;
                println!("{line}");
            }
            "decode" => {
                let decode = ids.decode()?;
                for rows in &arguments.decode_batches {
                    let Some(prompts) = decode.prompts.get(..rows.get()) else {
                        bail!(
                            "there are {} prompts, and {rows} are asked for",
                            decode.prompts.len()
                        );
                    };
                    let n_tokens = rows.get() * decode.new_tokens;
                    let line = measure(
                        format!("decode_b{rows}"),
                        n_tokens,
                        arguments.repeats,
                        || greedy(&mut model, prompts, decode.new_tokens).map(drop),
                    )?;
                    println!("{line}");
                }
            }
            other => bail!(
                "kind {other}: `prefill` or `decode`; candle's models cannot be trained as they are"
            ),
        }
    }
    println!(
        "{}",
        json!({ "bench": "end", "peak_resident_mib": peak_resident_mib() })
    );
    Ok(())
}

impl Ids {
    fn prefill(&self) -> Result<&Prefill> {
        self.prefill
            .as_ref()
            .context("the file has no ids of a prefill")
    }

    fn decode(&self) -> Result<&Decode> {
        self.decode
            .as_ref()
            .context("the file has no ids for decoding")
    }
}

/// The logits behind the last of one row.
fn last_logits(model: &mut Decoder, ids: &[u32]) -> Result<Vec<f32>> {
    model.clear();
    let ids = Tensor::new(vec![ids], &Device::Cpu)?;
    Ok(model.extend(&ids, 0)?.squeeze(0)?.to_vec1()?)
}

/// What follows the prompts, which are of one length.
fn greedy(model: &mut Decoder, prompts: &[Vec<u32>], n_new: usize) -> Result<Vec<Vec<u32>>> {
    model.clear();
    let mut rows = vec![Vec::with_capacity(n_new); prompts.len()];
    let (mut ids, mut n_seen) = (Tensor::new(prompts.to_vec(), &Device::Cpu)?, 0);
    for _ in 0..n_new {
        let n_fed = ids.dim(1)?;
        let next: Vec<u32> = model.extend(&ids, n_seen)?.argmax(D::Minus1)?.to_vec1()?;
        n_seen += n_fed;
        for (row, id) in rows.iter_mut().zip(&next) {
            row.push(*id);
        }
        ids = Tensor::new(next, &Device::Cpu)?.unsqueeze(1)?;
    }
    Ok(rows)
}

fn write_parity(model: &mut Decoder, arguments: &Arguments, ids: &Ids, path: &Path) -> Result<()> {
    let is_asked = |kind: &str| arguments.kinds.iter().any(|asked| asked == kind);
    let mut found = serde_json::Map::new();
    if is_asked("prefill") {
        let logits = last_logits(model, &ids.prefill()?.token_ids)?;
        found.insert("prefill".to_owned(), json!({ "logits": logits }));
    }
    if is_asked("decode") {
        let decode = ids.decode()?;
        let rows = greedy(model, &decode.prompts[..1], decode.new_tokens)?;
        found.insert("decode".to_owned(), json!({ "first_row": rows[0] }));
    }
    fs::write(path, Value::Object(found).to_string())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// One line, after one time that does not count.
fn measure(
    bench: String,
    n_tokens: usize,
    repeats: NonZeroUsize,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Value> {
    work()?;
    let before = cpu_seconds();
    let mut seconds = Vec::with_capacity(repeats.get());
    for _ in 0..repeats.get() {
        let started = Instant::now();
        work()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let cpu = before
        .zip(cpu_seconds())
        .map(|(before, after)| after - before);
    seconds.sort_by(f64::total_cmp);
    let (n, size) = (seconds.len(), n_tokens as f64);
    let median = (seconds[(n - 1) / 2] + seconds[n / 2]) / 2.0;
    Ok(json!({
        "bench": bench, "size": n_tokens, "seconds": seconds[0], "median_seconds": median,
        "rate": size / seconds[0], "median_rate": size / median,
        "rate_per_cpu_second": cpu.filter(|cpu| *cpu > 0.0).map(|cpu| size * n as f64 / cpu),
        "unit": "tokens/s", "repeats": n, "threads": candle_core::utils::get_num_threads(),
    }))
}

/// Processor time of this process, in steps of 10 ms.
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = text.rsplit_once(") ")?;
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    let ticks: Option<Vec<f64>> = ticks.map(|field| field.parse().ok()).collect();
    Some(ticks?.iter().sum::<f64>() / 100.0)
}

fn peak_resident_mib() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
