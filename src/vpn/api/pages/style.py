"""How pages look, and the one thing that they do: copy. They stand in the page, and its policy names their digests."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--paper:#f5f6f8;--card:#fff;--ink:#17202a;--soft:#5c6873;--line:#dfe3e8;--accent:#1f6feb;
--on-accent:#fff;--good:#1a7f37;--bad:#b42318;--bad-card:#fdecea}
@media (prefers-color-scheme:dark){:root{--paper:#0e1217;--card:#171d24;--ink:#e6eaef;--soft:#9aa6b2;--line:#2b343e;
--accent:#5b9dff;--on-accent:#0b1220;--good:#4cc373;--bad:#ff8d80;--bad-card:#2c1715}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:46rem;margin:0 auto;padding:1rem;display:grid;gap:1rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem .75rem;padding:.5rem .25rem 0}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:0 0 .5rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.4rem 0}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem;min-width:0}
.soft{color:var(--soft);font-size:.9rem}
.state{margin-left:auto;font-weight:600;color:var(--good)}
.state.bad{color:var(--bad)}
.banner{background:var(--bad-card);border-color:var(--bad);color:var(--bad);font-weight:600}
progress{width:100%;height:.75rem;appearance:none;border:0;border-radius:1rem;overflow:hidden;background:var(--line)}
progress::-webkit-progress-bar{background:var(--line)}
progress::-webkit-progress-value{background:var(--accent);border-radius:1rem}
progress::-moz-progress-bar{background:var(--accent);border-radius:1rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.5rem 1rem;margin:.75rem 0 0}
.facts dt{color:var(--soft);font-size:.85rem}
.facts dd{margin:0;font-variant-numeric:tabular-nums}
.code{display:block;width:14rem;max-width:100%;margin:.75rem auto;border-radius:.5rem;image-rendering:pixelated}
.copy{display:flex;gap:.5rem;margin:.5rem 0}
.copy input{flex:1;min-width:0;font:.85rem ui-monospace,monospace;padding:.55rem;border:1px solid var(--line);
border-radius:.5rem;background:var(--paper);color:var(--ink)}
.button,button{display:inline-block;padding:.5rem .9rem;border:0;border-radius:.5rem;background:var(--accent);
color:var(--on-accent);font:600 .9rem/1.3 inherit;font-family:inherit;text-decoration:none;cursor:pointer;
white-space:nowrap}
.button:focus-visible,button:focus-visible,summary:focus-visible,input:focus-visible{outline:3px solid var(--accent);
outline-offset:2px}
details{border-top:1px solid var(--line);padding:.25rem 0}
summary{cursor:pointer;padding:.5rem 0;font-weight:600}
.app{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;gap:.25rem 1rem;padding:.5rem 0}
.app div{flex:1 1 16rem;min-width:0}
a{color:var(--accent)}
footer{text-align:center;padding:0 0 1rem}
"""

SCRIPT = """
for (const button of document.querySelectorAll('button[data-copies]')) {
  const field = document.getElementById(button.dataset.copies);
  button.hidden = false;
  button.addEventListener('click', async () => {
    field.select();
    try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand('copy'); }
    const said = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}
"""
