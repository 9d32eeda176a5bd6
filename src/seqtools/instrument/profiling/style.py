"""The style of the report of a profile, for a page of its own and for the output of a notebook.

All colours are visible on white and on black, and the text has that of the page around it: a
notebook may be dark where the system is light. What depends on the width asks for the width of the
report, not that of the window. The class of the report stands three times in its selector, so that
it prevails over the rules that notebooks have for lists, headings and code.
"""

PAGE = """
:root{color-scheme:light dark}
body{margin:0 auto;padding:1rem;max-width:76rem;background:Canvas;color:CanvasText}
"""

REPORT = """
.seqtools-report.seqtools-report.seqtools-report{container-type:inline-size;
 font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere;text-align:left;
 & *{box-sizing:border-box}
 & h1{font-size:1.5rem;line-height:1.25;margin:.2rem 0 1rem}
 & .verdict::first-letter{text-transform:uppercase}
 & h2{font-size:1.05rem;margin:2rem 0 .5rem}
 & h2 .dim{font-weight:400;margin-left:.6em}
 & p,& ul,& ol{margin:.4rem 0;padding:0}
 & code{font:.93em ui-monospace,monospace;color:inherit;background:none;padding:0}
 & .dim{opacity:.68;font-size:.86em}
 & i{font-style:normal}
 & .advice{counter-reset:n;list-style:none}
 & .advice li{counter-increment:n;display:grid;grid-template-columns:2.2rem minmax(0,1fr);
  padding:.7rem .8rem .7rem 0;margin:.5rem 0;border:1px solid #8885;border-left:4px solid #009e73;
  border-radius:6px}
 & .advice li::before{content:counter(n);font-weight:600;text-align:center}
 & .advice code{font-weight:600;font-size:1rem}
 & .gain{height:6px;margin-top:.4rem;background:#8883;border-radius:3px}
 & .gain i{display:block;height:100%;background:#009e73;border-radius:3px}
 & .facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.5rem;
  margin:1rem 0}
 & .facts div{border:1px solid #8885;border-radius:6px;padding:.4rem .7rem}
 & .facts strong{display:block;font-size:1.2rem;font-weight:600}
 & .because{padding-left:1.2rem;list-style:disc}
 & .key{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.4rem 0 .8rem;
  font-size:.86rem}
 & .key li{display:flex;align-items:center;gap:.4em}
 & .key i,& .stage i{flex:none;width:.8em;height:.8em;border-radius:2px}
 & .time{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:3px .7rem;
  align-items:center;font-size:.8rem}
 & .time svg{display:block;width:100%;height:20px;background:#8881;border-radius:2px;
  shape-rendering:crispEdges}
 & .time svg[data-lane=window]{height:64px;margin-top:10px}
 & .grid{fill:none;stroke:#8884;vector-effect:non-scaling-stroke}
 & .ready{fill:currentColor;fill-opacity:.3;stroke:currentColor;vector-effect:non-scaling-stroke}
 & .room{fill:none;stroke:currentColor;stroke-dasharray:4 3;opacity:.7;
  vector-effect:non-scaling-stroke}
 & .scale{display:flex;flex-direction:column;justify-content:space-between;text-align:right;
  height:64px;margin-top:10px;line-height:1}
 & .scale .name{text-align:left}
 & .axis{position:relative;height:1.3rem}
 & .axis span{position:absolute;transform:translateX(-50%);white-space:nowrap;opacity:.75}
 & .axis :first-child{transform:none}
 & .axis .last{transform:translateX(-100%)}
 & .stages{display:grid;column-gap:1rem;
  grid-template-columns:minmax(15rem,2.2fr) minmax(6rem,1.3fr) repeat(5,max-content)}
 & .stages [role=row]{display:grid;grid-column:1/-1;grid-template-columns:subgrid;
  align-items:center;padding:.3rem .2rem;border-bottom:1px solid #8883}
 & .heads{font-size:.8rem;opacity:.75;text-align:right}
 & .heads span:nth-child(-n+2){text-align:left}
 & .stage{display:flex;gap:.5rem;align-items:baseline;padding-left:calc(var(--depth)*.9rem);
  line-height:1.3}
 & .bar{position:relative;height:14px;background:#8881;border-radius:2px}
 & .bar i{position:absolute;inset:0 auto 0 0;border-radius:2px;opacity:.45}
 & .bar .computes,& .bar .wait{opacity:1}
 & .number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
 & .slow{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:0 1.5rem;
  list-style:none;font-variant-numeric:tabular-nums}
 & .about{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem 1rem;
  margin:2rem 0 0;padding-top:.7rem;border-top:1px solid #8885;font-size:.86rem}
 & .about dt{opacity:.75}
 & .about dd{margin:0}
 & :focus-visible{outline:2px solid #0072b2;outline-offset:2px}
}
@container (max-width:44rem){.seqtools-report.seqtools-report.seqtools-report{
 & .heads{display:none!important}
 & .stages{display:block}
 & .stages [role=row]{grid-template-columns:repeat(3,minmax(0,1fr));gap:.3rem .6rem;
  padding:.7rem 0}
 & .stage,& .bar{grid-column:1/-1}
 & .stage{padding-left:calc(var(--depth)*.45rem)}
 & .number{text-align:left}
 & .number::before{content:attr(data-head);display:block;font-size:.75rem;opacity:.7}
}}
@container (max-width:30rem){.seqtools-report .more{visibility:hidden}}
@media print{.seqtools-report{print-color-adjust:exact}}
"""
