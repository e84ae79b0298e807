// Tickets as the printer received them: decoded from its bytes, drawn dot for dot like thermal paper.

import { byId } from "./dom.js";

const KEEP = 14; // tickets on the page
const HURRY = 4; // waiting tickets; from there on they appear without being fed
const MARGIN = 24; // dots left and right of the printing area
const LINE = 30; // dots a line
const SHARP = 2; // canvas pixels a dot
const INK = "#23201d";

function cells(char) {
  const code = char.codePointAt(0);
  const wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe4f) || (code >= 0xff00 && code <= 0xff60) || (code >= 0xffe0 && code <= 0xffe6);
  return wide ? 2 : 1;
}

function widthOf(runs) {
  let dots = 0;
  for (const run of runs) for (const char of run.text) dots += cells(char) * 12 * (run.width || 1);
  return dots;
}

function left(align, inner, width) {
  if (align === "center") return Math.max(0, (width - inner) / 2);
  return align === "right" ? Math.max(0, width - inner) : 0;
}

function heightOf(element) {
  if (element.type === "text") return LINE * Math.max(1, ...element.runs.map((run) => run.height || 1));
  if (element.type === "qr") return element.modules.length * element.size + 16;
  if (element.type === "image") return element.height;
  if (element.type === "feed") return LINE * Math.min(element.lines === undefined ? 1 : element.lines, 8);
  return 0;
}

function drawText(pen, element, top, width) {
  const tall = heightOf(element);
  let x = MARGIN + left(element.align, widthOf(element.runs), width);
  for (const run of element.runs) {
    const across = run.width || 1;
    const down = run.height || 1;
    for (const char of run.text) {
      const cell = cells(char) * 12;
      if (run.inverse) {
        pen.fillStyle = INK;
        pen.fillRect(x, top + tall - LINE * down + 1, cell * across, LINE * down - 2);
      }
      pen.save();
      pen.translate(x + (cell * across) / 2, top + tall - (LINE * down) / 2);
      pen.scale(across, down);
      pen.fillStyle = run.inverse ? "#fffefb" : INK;
      pen.font = (run.bold ? "700 " : "400 ") + (cell === 24 ? "23px " : "20px ") +
        "'DejaVu Sans Mono', Menlo, Consolas, 'Noto Sans CJK SC', 'PingFang SC', 'WenQuanYi Micro Hei', 'Microsoft YaHei', monospace";
      pen.fillText(char, 0, 1);
      pen.restore();
      x += cell * across;
    }
  }
}

function drawQr(pen, element, top, width) {
  const side = element.modules.length * element.size;
  const x = MARGIN + left(element.align, side, width);
  pen.fillStyle = INK;
  element.modules.forEach((row, y) => {
    [...row].forEach((dot, n) => {
      if (dot === "1") pen.fillRect(x + n * element.size, top + 8 + y * element.size, element.size, element.size);
    });
  });
}

function drawImage(pen, element, top, width) {
  const picture = new Image();
  picture.onload = () => {
    pen.globalCompositeOperation = "multiply"; // white of the picture is paper
    pen.drawImage(picture, MARGIN + left(element.align, element.width, width), top, element.width, element.height);
  };
  picture.src = "data:image/png;base64," + element.png;
}

function teeth(pen, width, height) {
  pen.globalCompositeOperation = "destination-out";
  for (let x = 0; x < width; x += 12) {
    pen.beginPath();
    pen.moveTo(x, height);
    pen.lineTo(x + 6, height - 7);
    pen.lineTo(x + 12, height);
    pen.fill();
  }
  pen.globalCompositeOperation = "source-over";
}

export function draw(ticket) {
  const width = ticket.dots;
  const whole = width + 2 * MARGIN;
  const height = 40 + ticket.elements.reduce((sum, element) => sum + heightOf(element), 0) + 30;
  const canvas = document.createElement("canvas");
  canvas.width = whole * SHARP;
  canvas.height = height * SHARP;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", ticket.plain);
  const pen = canvas.getContext("2d");
  pen.scale(SHARP, SHARP);
  pen.fillStyle = "#fffefb";
  pen.fillRect(0, 0, whole, height);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  let top = 28;
  for (const element of ticket.elements) {
    pen.save();
    if (element.type === "text") drawText(pen, element, top, width);
    else if (element.type === "qr") drawQr(pen, element, top, width);
    else if (element.type === "image") drawImage(pen, element, top, width);
    pen.restore();
    top += heightOf(element);
  }
  if (ticket.cut) teeth(pen, whole, height);
  return canvas;
}

// --- one ticket after the other comes out of the slot ---------------------------------------------

const waiting = [];
let feeding = false;

export function clearTickets() {
  waiting.length = 0;
  byId("tickets").replaceChildren();
}

export function showTickets(tickets, atOnce) {
  waiting.push(...tickets);
  if (atOnce || waiting.length > HURRY) {
    for (const ticket of waiting.splice(0).slice(-KEEP)) put(ticket);
  } else if (!feeding) {
    next();
  }
}

function put(ticket) {
  const box = byId("tickets");
  const piece = document.createElement("div");
  piece.className = "ticket";
  piece.append(draw(ticket));
  box.prepend(piece);
  while (box.childElementCount > KEEP) box.lastElementChild.remove();
  box.scrollTop = 0;
  return piece;
}

function next() {
  feeding = waiting.length > 0;
  if (!feeding) return;
  const ticket = waiting.shift();
  const piece = put(ticket);
  const full = piece.getBoundingClientRect().height;
  const seconds = Math.min(2, 0.5 + ticket.elements.length * 0.05) / (waiting.length + 1);
  piece.style.height = "0px";
  piece.style.setProperty("--feed", seconds + "s");
  piece.getBoundingClientRect(); // the browser must have seen the start before the end
  piece.classList.add("coming");
  piece.style.height = full + "px";
  setTimeout(() => {
    piece.className = "ticket";
    piece.style.height = "";
    next();
  }, seconds * 1000);
}
