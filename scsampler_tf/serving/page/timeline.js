// The saliency of every clip over time, as a slider: click, arrow keys, Home and End move through the video.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000; // of the drawing; it is stretched to the place it has
const HEIGHT = 100;
const MARGIN = 6;

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const rest = `${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds - whole) * 10)}`;
  return `${Math.floor(whole / 60)}:${rest}`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// A step for every clip; a gap where there is no value.
export function stepPath(clips, field, x, y) {
  let path = "";
  let before = null;
  for (const clip of clips) {
    const value = clip[field];
    if (value !== null) {
      const pen = before === null ? "M" : "L";
      path += `${pen}${x(clip.start_s)} ${y(value)}L${x(clip.end_s)} ${y(value)}`;
    }
    before = value;
  }
  return path;
}

export class Timeline {
  constructor(svg, seek) {
    this.svg = svg;
    this.seek = seek;
    this.clips = [];
    this.duration = 0;
    this.now = 0;
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.addEventListener("click", (event) => this.#clicked(event));
    svg.addEventListener("keydown", (event) => this.#pressed(event));
  }

  draw(answer) {
    this.clips = answer.saliency;
    this.duration = answer.duration_s;
    const x = (seconds) => ((seconds / this.duration) * WIDTH).toFixed(2);
    const y = this.#scale();
    this.svg.replaceChildren();
    for (const moment of answer.moments) {
      const width = x(moment.end_s - moment.start_s);
      const box = { class: "moment", x: x(moment.start_s), y: 0, width, height: HEIGHT };
      this.svg.append(element("rect", box));
    }
    for (const field of ["visual", "audio"]) {
      this.svg.append(element("path", { class: `curve ${field}`, d: stepPath(this.clips, field, x, y) }));
    }
    this.here = element("line", { class: "here", y1: 0, y2: HEIGHT });
    this.svg.append(this.here);
    this.svg.setAttribute("aria-valuemax", this.duration.toFixed(1));
    this.show(0);
  }

  show(seconds) {
    this.now = Math.min(Math.max(seconds, 0), this.duration);
    const place = ((this.now / this.duration) * WIDTH).toFixed(2);
    this.here.setAttribute("x1", place);
    this.here.setAttribute("x2", place);
    this.svg.setAttribute("aria-valuenow", this.now.toFixed(1));
    this.svg.setAttribute("aria-valuetext", this.#words());
  }

  // From the least to the greatest value of both curves: trained samplers seldom use all of 0 to 1.
  #scale() {
    const values = this.clips.flatMap((clip) => [clip.visual, clip.audio]).filter((value) => value !== null);
    const low = values.reduce((least, value) => Math.min(least, value), Infinity);
    const span = values.reduce((most, value) => Math.max(most, value), -Infinity) - low || 1;
    return (value) => (HEIGHT - MARGIN - ((value - low) / span) * (HEIGHT - 2 * MARGIN)).toFixed(2);
  }

  #at(seconds) {
    const later = this.clips.findIndex((clip) => seconds < clip.end_s);
    return later < 0 ? this.clips.length - 1 : later;
  }

  #words() {
    const { visual, audio } = this.clips[this.#at(this.now)];
    const said = [`${clock(this.now)} of ${clock(this.duration)}`];
    if (visual !== null) said.push(`visual saliency ${visual.toFixed(2)}`);
    if (audio !== null) said.push(`audio saliency ${audio.toFixed(2)}`);
    return said.join(", ");
  }

  #clicked(event) {
    const box = this.svg.getBoundingClientRect();
    this.seek(((event.clientX - box.left) / box.width) * this.duration);
  }

  // A clip at a time.
  #pressed(event) {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    const last = this.clips.length - 1;
    let clip = this.#at(this.now);
    if (event.key in steps) clip = Math.min(Math.max(clip + steps[event.key], 0), last);
    else if (event.key === "Home") clip = 0;
    else if (event.key === "End") clip = last;
    else return;
    event.preventDefault();
    this.seek(this.clips[clip].start_s);
  }
}
