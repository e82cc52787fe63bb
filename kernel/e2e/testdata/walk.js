// What the walk through the course asks of a notebook. JupyterLab lends its application to the page for that
// (expose_app_in_browser): cells out of sight are in no document.
window.walk = (() => {
  const panel = () => [...(window.jupyterapp?.shell.widgets('main') ?? [])].find((w) => w.isVisible && w.sessionContext);
  const cells = () => panel()?.content?.widgets ?? [];
  const said = []; // what the kernel has sent: when, about which request, what
  const seen = new Set(); // dialogs and notifications
  let last = ''; // the kernel's state

  // listen notes what the kernel sends from now on.
  function listen() {
    panel().sessionContext.iopubMessage.connect((_, m) => {
      const id = m.parent_header.msg_id, type = m.header.msg_type;
      if (type === 'status') last = m.content.execution_state;
      said.push({ at: performance.now(), id, type, count: m.content.execution_count, idle: m.content.execution_state === 'idle' });
    });
    setInterval(look, 100);
  }

  // look notes what JupyterLab wants a person to see.
  function look() {
    for (const e of document.querySelectorAll('.jp-Dialog-content, .Toastify__toast, .jp-toastContainer > *')) if (e.innerText.trim()) seen.add(e.innerText.trim());
  }

  // records tells of each code cell what it showed and how long it took; wait is how long it took to show anything, and pause the longest time between two words.
  function records() {
    return cells().map((w, i) => ({ w, i })).filter(({ w }) => w.model.type === 'code').map(({ w, i }) => {
      const outputs = w.model.outputs.toJSON(), begin = said.find((m) => m.type === 'execute_input' && m.count === w.model.executionCount);
      const about = begin ? said.filter((m) => m.id === begin.id && m.at >= begin.at) : [];
      const end = about.find((m) => m.idle)?.at;
      const first = about.find((m) => m.type !== 'execute_input' && m.type !== 'status')?.at ?? end;
      let pause = 0;
      about.reduce((a, b) => { pause = Math.max(pause, b.at - a.at); return b; }, about[0]);
      const text = (o) => [].concat(o.text ?? '').join('');
      return {
        index: i, id: w.model.id, source: w.model.sharedModel.getSource(), count: w.model.executionCount, begun: !!begin, ended: end !== undefined,
        seconds: end === undefined ? -1 : (end - begin.at) / 1000, wait: begin ? (first - begin.at) / 1000 : -1, pause: pause / 1000,
        stdout: outputs.filter((o) => o.name === 'stdout').map(text).join(''), stderr: outputs.filter((o) => o.name === 'stderr').map(text).join(''),
        error: outputs.filter((o) => o.output_type === 'error').map((o) => o.ename + ': ' + o.evalue).join('\n'),
        rich: outputs.some((o) => o.data), empty: outputs.length === 0,
      };
    });
  }

  // show brings a cell into sight and tells where its outputs are.
  async function show(i, what) {
    const c = panel().content;
    await c.scrollToItem(i, 'start');
    await new Promise((ok) => setTimeout(ok, 150));
    const e = c.widgets[i].node.querySelector(what);
    if (!e) return null;
    e.scrollIntoView({ block: 'start' });
    await new Promise((ok) => setTimeout(ok, 250));
    const b = e.getBoundingClientRect();
    return { x: b.left, y: b.top, width: b.width, height: b.height };
  }

  // controls tells what a person can move in a cell.
  function controls(i) {
    const node = cells()[i].node;
    return [...node.querySelectorAll('.jp-OutputArea .noUi-handle, .jp-OutputArea .widget-dropdown select')].map((e, n) => (
      { n, kind: e.tagName === 'SELECT' ? 'dropdown' : 'slider', options: e.options?.length ?? 0 }));
  }

  // watch notes when the picture in a cell changes after a key is pressed in it.
  let drawn = [], pressed = 0, observer;
  function watch(i, n) {
    const node = cells()[i].node, control = node.querySelectorAll('.jp-OutputArea .noUi-handle, .jp-OutputArea .widget-dropdown select')[n];
    const picture = () => [...node.querySelectorAll('.jp-OutputArea .widget-html-content')].map((e) => e.innerHTML).join();
    observer?.disconnect();
    let was = picture();
    observer = new MutationObserver(() => { const now = picture(); if (now !== was) { was = now; drawn.push(performance.now() - pressed); } });
    observer.observe(node.querySelector('.jp-OutputArea'), { childList: true, subtree: true, characterData: true });
    node.addEventListener('keydown', () => { pressed = performance.now(); drawn = []; }, true);
    control.focus();
    return document.activeElement === control && was !== '';
  }

  // choose takes an option of a dropdown, as its menu does, which is no part of the page. (Of arrow keys on it JupyterLab makes another cell the current one.)
  function choose(i, n, option) {
    const e = cells()[i].node.querySelectorAll('.jp-OutputArea .noUi-handle, .jp-OutputArea .widget-dropdown select')[n];
    pressed = performance.now();
    drawn = [];
    e.selectedIndex = option;
    e.dispatchEvent(new Event('change', { bubbles: true }));
    return true;
  }

  return {
    choose, listen, records, show, controls, watch,
    notebook: () => panel()?.context?.isReady && cells().length > 0 && !!panel().sessionContext.session?.kernel,
    busy: () => last !== 'idle',
    waiting: () => cells().filter((w) => w.model.type === 'code' && w.model.executionState === 'running').length,
    kernel: () => panel().sessionContext.kernelDisplayName,
    drawn: () => drawn, value: (i) => [...cells()[i].node.querySelectorAll('.widget-readout, .widget-dropdown select')].map((e) => e.value ?? e.innerText).join(),
    seen: () => { look(); return [...seen]; },
    stop: async () => { await panel().context.save(); await panel().sessionContext.shutdown(); },
  };
})();
