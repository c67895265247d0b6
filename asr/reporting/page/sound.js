"use strict";
// Sound: embedded MP3 to samples, and samples to a waveform and a spectrogram.

const WINDOW = 512; // samples of one spectrum: 32 ms
const RANGE_DB = 70; // what lies further below the loudest moment is black
const HEARD_RATE = 16000; // Hz
const COLORS = [[8, 12, 24], [0, 62, 110], [0, 114, 178], [120, 150, 130], [230, 159, 0], [255, 246, 205]];

let sounds = null;

function soundOf(id) {
  if (sounds === null) sounds = JSON.parse(document.getElementById("sounds").textContent);
  return Object.hasOwn(sounds, id) ? sounds[id] : null;
}

function addressOf(id) {
  return "data:audio/mpeg;base64," + soundOf(id);
}

async function samplesOf(id) {
  const bytes = Uint8Array.from(atob(soundOf(id)), (character) => character.charCodeAt(0));
  const context = new OfflineAudioContext(1, 1, HEARD_RATE);
  return (await context.decodeAudioData(bytes.buffer)).getChannelData(0);
}

// A canvas with one pixel a pixel of the screen.
function sized(canvas) {
  const box = canvas.getBoundingClientRect();
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  return canvas.getContext("2d");
}

function drawWave(canvas, samples) {
  const pen = sized(canvas);
  const { width, height } = canvas;
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-4);
  pen.fillStyle = getComputedStyle(canvas).color;
  for (let x = 0; x < width; x++) {
    let low = 0, high = 0;
    const end = Math.floor((x + 1) * samples.length / width);
    for (let i = Math.floor(x * samples.length / width); i < end; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    const top = (1 - high / peak) * height / 2;
    pen.fillRect(x, top, 1, Math.max(1, (1 - low / peak) * height / 2 - top));
  }
}

function drawSpectrogram(canvas, samples) {
  const pen = sized(canvas);
  const { width, height } = canvas;
  const bins = WINDOW / 2;
  const levels = new Float32Array(width * bins);
  const real = new Float32Array(WINDOW), imaginary = new Float32Array(WINDOW);
  let loudest = -200;
  for (let x = 0; x < width; x++) {
    const start = Math.round((x + 0.5) * samples.length / width) - bins;
    for (let i = 0; i < WINDOW; i++) {
      real[i] = (samples[start + i] || 0) * (0.5 - 0.5 * Math.cos(2 * Math.PI * i / WINDOW));
      imaginary[i] = 0;
    }
    transform(real, imaginary);
    for (let k = 0; k < bins; k++) {
      const level = 10 * Math.log10(real[k] ** 2 + imaginary[k] ** 2 + 1e-12);
      levels[x * bins + k] = level;
      loudest = Math.max(loudest, level);
    }
  }
  paint(pen, levels, bins, loudest);
}

function paint(pen, levels, bins, loudest) {
  const { width, height } = pen.canvas;
  const image = pen.createImageData(width, height);
  for (let y = 0; y < height; y++) {
    const bin = Math.min(bins - 1, Math.floor((height - 1 - y) / height * bins));
    for (let x = 0; x < width; x++) {
      const color = colorOf(1 + (levels[x * bins + bin] - loudest) / RANGE_DB);
      image.data.set(color, 4 * (y * width + x));
    }
  }
  pen.putImageData(image, 0, 0);
}

// From 0, black, to 1; rising brightness, so that it reads without colour as well.
function colorOf(share) {
  const place = Math.min(Math.max(share, 0), 0.9999) * (COLORS.length - 1);
  const step = Math.floor(place), [from, to] = [COLORS[step], COLORS[step + 1]];
  return [0, 1, 2].map((i) => from[i] + (to[i] - from[i]) * (place - step)).concat(255);
}

// The discrete Fourier transform in place, by Cooley and Tukey's halving; the length is a power of two.
function transform(real, imaginary) {
  const count = real.length;
  for (let i = 1, j = 0; i < count; i++) {
    let bit = count >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= count; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(2 * Math.PI * k / size), s = -Math.sin(2 * Math.PI * k / size);
      for (let a = k; a < count; a += size) {
        const b = a + size / 2;
        const re = real[b] * c - imaginary[b] * s, im = real[b] * s + imaginary[b] * c;
        real[b] = real[a] - re;
        imaginary[b] = imaginary[a] - im;
        real[a] += re;
        imaginary[a] += im;
      }
    }
  }
}
