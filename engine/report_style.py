# SPDX-License-Identifier: GPL-3.0-or-later
"""Style sheet and the few lines of script of the report page. Pictures stand on neutral grey in light and dark."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --page: #f4f4f2; --card: #ffffff; --ink: #1c1d1f; --soft: #62666d;
  --line: #dcdcd8; --accent: #c2571a; --good: #2c7a4b; --bad: #b3372f; --band: #0000000a; --mat: #8a8a8a; }
@media (prefers-color-scheme: dark) { :root { --page: #17181a; --card: #212326; --ink: #e8e8e6; --soft: #9a9fa8;
  --line: #36393e; --accent: #f0914e; --good: #69c08b; --bad: #f07f76; --band: #ffffff0a; --mat: #5c5c5c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 44px 0 14px; }
h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 80ch; }
.soft, .legend, figcaption { color: var(--soft); }
.eyebrow { color: var(--accent); font-weight: 600; font-size: 13px; letter-spacing: .06em; text-transform: uppercase; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }
.card + .card { margin-top: 14px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 22px 0; }
.tile { flex: 1 1 150px; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.tile b { display: block; font-size: 23px; line-height: 1.25; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile > span { color: var(--soft); font-size: 13px; }
.heroes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 16px; }
.heroes .card + .card { margin-top: 0; }
.head { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline; margin-bottom: 10px; }
.head .right { margin-left: auto; font-variant-numeric: tabular-nums; }
.row { display: grid; gap: 10px; grid-template-columns: repeat(4, 1fr); }
.pair { display: grid; gap: 10px; grid-template-columns: repeat(2, 1fr); }
@media (max-width: 760px) { .row { grid-template-columns: repeat(2, 1fr); } }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 13px; margin-top: 4px; overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; background: var(--mat); border-radius: 4px; }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); }
.wide { grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); }
.wipe { position: relative; --at: 50%; }
.wipe img + img { position: absolute; inset: 0; height: 100%; clip-path: inset(0 0 0 var(--at)); }
.wipe i { position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; margin-left: -1px; background: #fff;
  box-shadow: 0 0 4px #0008; pointer-events: none; }
.wipe input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.wipe input:focus-visible + i { background: var(--accent); width: 4px; }
.wipe u { position: absolute; bottom: 8px; padding: 1px 8px; border-radius: 99px; background: #000a; color: #fff;
  font-size: 12px; text-decoration: none; pointer-events: none; }
.wipe u:nth-of-type(1) { left: 8px; } .wipe u:nth-of-type(2) { right: 8px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
.number { white-space: nowrap; }
.swatch { display: inline-block; width: 1em; height: 1em; border-radius: 3px; vertical-align: -.14em;
  margin-right: .4em; border: 1px solid var(--line); }
.scale { display: inline-block; width: 140px; height: 10px; border-radius: 3px; margin: 0 8px; }
.legend { font-size: 13px; margin: 0 0 12px; max-width: none; }
.up { color: var(--good); } .down { color: var(--bad); }
.notice { border-left: 4px solid var(--accent); }
.notice ul { margin: 0; padding-left: 20px; }
.badge { display: inline-block; padding: 1px 9px; border-radius: 99px; font-size: 12.5px;
  border: 1px solid currentColor; }
.supported { color: var(--good); } .approximated { color: var(--accent); } .ignored, .error { color: var(--bad); }
.chart { width: 100%; height: auto; display: block; }
.chart text { font-size: 12px; fill: var(--soft); font-family: inherit; }
.chart .value, .chart .axis { text-anchor: end; } .chart .tick, .chart .stage { text-anchor: middle; }
.chart .stage { fill: var(--ink); }
.chart .grid { stroke: var(--line); } .chart .band0 { fill: var(--band); } .chart .band1 { fill: transparent; }
.chart polyline { fill: none; stroke: var(--accent); stroke-linejoin: round; }
.chart .raw { stroke-opacity: .3; stroke-width: 1; } .chart .smooth { stroke-width: 2; }
.times { max-width: 720px; } .times td:last-child { width: 60%; }
.bar { background: var(--accent); height: 9px; border-radius: 3px; min-width: 2px; display: block; margin-top: 7px; }
details > summary { cursor: pointer; }
details[open] > summary { margin-bottom: 8px; }
@media print { .card, .tile { break-inside: avoid; } }
"""

SCRIPT = """
for (const input of document.querySelectorAll('.wipe input'))
  input.oninput = () => input.parentElement.style.setProperty('--at', input.value + '%');
"""
