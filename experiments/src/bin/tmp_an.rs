#![allow(clippy::all, warnings)]
use burn::tensor::Device;
use experiments::word_problems::*;
use extracot_core::*;
use extracot_models::*;
use std::collections::BTreeMap;
fn main() {
    let dev = Device::flex();
    let ck = PolicyCheckpoint::load(
        std::path::Path::new(&std::env::args().nth(1).unwrap()),
        &dev,
    )
    .unwrap();
    let chat = ChatTemplate::default();
    let parser = ResponseParser::try_new(&ck.tokenizer).unwrap();
    let seed = Seed(1);
    let tok = &ck.tokenizer;
    let all = problem_set(Split::Develop, 480, seed).unwrap();
    println!("{}\n{}", all[5].problem.question, all[5].think);
    for s in 1..=6u32 {
        let sel: Vec<_> = all
            .iter()
            .filter(|p| p.problem.difficulty == Some(s))
            .collect();
        let mut v: Vec<f64> = sel
            .iter()
            .map(|p| {
                let f: usize = p
                    .think
                    .split('$')
                    .skip(1)
                    .step_by(2)
                    .map(|x| tok.n_tokens(&format!(" ${x}$.")))
                    .sum();
                f as f64 / tok.n_tokens(&p.think) as f64
            })
            .collect();
        v.sort_by(f64::total_cmp);
        println!(
            "{s}: q10 {:.3} q50 {:.3} q90 {:.3} over .195: {:.2} len {}",
            v[v.len() / 10],
            v[v.len() / 2],
            v[v.len() * 9 / 10],
            v.iter().filter(|x| **x > 0.195).count() as f64 / v.len() as f64,
            sel.iter().map(|p| tok.n_tokens(&p.think)).sum::<usize>() / sel.len()
        );
    }
    if std::env::args().nth(2).is_some() {
        return;
    }
    let set = problem_set(Split::Develop, 240, Seed(5)).unwrap();
    let prompts: Vec<Prompt> = set
        .iter()
        .map(|p| Prompt {
            id: p.problem.id.clone(),
            token_ids: ck.tokenizer.encode(&chat.prompt(&p.problem.question, None)),
        })
        .collect();
    let eng = LocalEngine {
        model: &ck.model,
        device: &dev,
        stop_id: parser.turn_close(),
        batch_rows: 64,
        n_workers: 2,
        progress: &|_, _| {},
    };
    let out = eng
        .rollout(&prompts, &SamplingParams::greedy(500), Seed(1))
        .unwrap();
    let mut by: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut acc: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    let mut shown = 0;
    for (p, g) in set.iter().zip(&out) {
        let r = parser.parse(&ck.tokenizer, &g.rollouts[0].token_ids);
        let ok = r.visible.contains(&format!("{{{}}}", p.problem.answer));
        let e = acc.entry(p.problem.difficulty.unwrap()).or_default();
        e.0 += ok as usize;
        e.1 += 1;
        let gold: Vec<&str> = p
            .problem
            .solution
            .as_ref()
            .unwrap()
            .split("$ $")
            .map(|x| x.trim_matches('$'))
            .collect();
        let got: Vec<&str> = r.think.split('$').skip(1).step_by(2).collect();
        if !ok && shown < 6 {
            shown += 1;
            println!("gold {gold:?}\n got {got:?}");
        }
        for (a, b) in gold.iter().zip(&got) {
            let op = if a.contains("frac") {
                "frac"
            } else if a.contains('%') {
                "pct"
            } else if a.contains("times") {
                "mul"
            } else if a.contains('+') {
                "add"
            } else {
                "sub"
            };
            let la = a.split('=').next().unwrap();
            let lb = b.split('=').next().unwrap();
            let e = by.entry(op.into()).or_default();
            e.0 += 1;
            if la == lb {
                e.1 += 1;
                if a == b {
                    e.2 += 1;
                }
            }
            if a != b {
                break;
            }
        }
    }
    println!("{acc:?}\nop: (n, lhs right, all right) {by:?}");
}
