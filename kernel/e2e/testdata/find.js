// find returns the centre of the first element of that kind that a person could click on: it is in sight (or is
// brought there) and nothing lies over it. text, unless empty, is what it shows, or its title.
function find(selector, text) {
  for (const e of document.querySelectorAll(selector)) {
    const shown = (e.innerText ?? e.textContent ?? '').trim();
    if (text && shown !== text && e.title !== text) continue;
    if (!e.getClientRects().length) continue;
    let box = e.getBoundingClientRect();
    if (box.top < 0 || box.bottom > innerHeight) {
      e.scrollIntoView({ block: 'center' });
      box = e.getBoundingClientRect();
    }
    const at = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    const top = document.elementFromPoint(at.x, at.y);
    if (top && (e.contains(top) || top.contains(e) || top.getRootNode().host === e)) return at;
  }
  return null;
}

// unreadable lists the text in these elements that does not stand out from what is behind it as WCAG 2.2 wants it of large
// text. The text of pictures, which bring their own background, is left out.
function unreadable(selector) {
  const rgba = (c) => c.match(/[\d.]+/g).map(Number);
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * (top[3] ?? 1) + under[i] * (1 - (top[3] ?? 1)));
  const behind = (e) => (e ? over(rgba(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255]);
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const list = [];
  for (const output of document.querySelectorAll(selector)) {
    const walk = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const e = walk.currentNode.parentElement;
      if (!walk.currentNode.data.trim() || e.closest('svg') || !e.getClientRects().length) continue;
      const under = behind(e), own = light(over(rgba(getComputedStyle(e).color), under)), back = light(under);
      const contrast = (Math.max(own, back) + 0.05) / (Math.min(own, back) + 0.05);
      if (contrast < 3) list.push(walk.currentNode.data + ': ' + contrast.toFixed(2));
    }
  }
  return list;
}
