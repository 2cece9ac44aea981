'use strict';
// Shows /openapi.json and sends what is typed. Text reaches the page as text alone, never as markup.

let api;

function element(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...[content].flat());
  return made;
}

function resolved(schema) {
  return schema && schema.$ref ? api.components.schemas[schema.$ref.split('/').pop()] : schema || {};
}

function typeOf(schema) {
  const types = [schema.type].flat().filter((type) => type && type !== 'null');
  const parts = (schema.oneOf || schema.allOf || schema.anyOf || []).filter((part) => part.type !== 'null');
  if (parts.length) return parts.map((part) => typeOf(resolved(part))).join(' or ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (types.includes('array')) return `list of ${typeOf(resolved(schema.items))}`;
  return schema.format || types.join(' or ') || 'anything';
}

function example(schema, depth = 0) {
  schema = resolved(schema);
  const part = (schema.oneOf || schema.allOf || schema.anyOf || []).find((one) => one.type !== 'null');
  if (part) return example(part, depth);
  if (schema.enum) return schema.enum[0];
  const type = [schema.type].flat().find((one) => one !== 'null');
  if (schema.properties && depth < 4) {
    const members = Object.entries(schema.properties).filter(([name, member]) =>
      !resolved(member).readOnly && (schema.required || []).includes(name));
    return Object.fromEntries(members.map(([name, member]) => [name, example(member, depth + 1)]));
  }
  return { array: [], integer: 0, number: 0, boolean: false, object: {} }[type] ?? '';
}

function members(schema) {
  schema = resolved(schema);
  if (!schema.properties) return element('p', typeOf(schema));
  const required = schema.required || [];
  const rows = Object.entries(schema.properties).map(([name, member]) => {
    const shape = resolved(member);
    const about = member.description || shape.description || '';
    return element('tr', [
      element('td', element('code', name)),
      element('td', typeOf(shape) + (required.includes(name) ? '' : ', optional')),
      element('td', about),
    ]);
  });
  return element('table', element('tbody', rows));
}

function contents(title, content) {
  return Object.entries(content || {}).flatMap(([type, media]) =>
    [element('h4', `${title} (${type})`), members(media.schema)]);
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, response]) =>
    element('tr', [element('td', status), element('td', response.description)]));
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith('2'));
  return [
    element('h4', 'Answers'),
    element('table', element('tbody', rows)),
    ...contents('Body', good && good[1].content),
  ];
}

function field(label, input) {
  return element('label', [label, input]);
}

async function send(request, output) {
  output.textContent = '…';
  try {
    const response = await fetch(request.url, request);
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    output.textContent = `${response.status} ${response.statusText}\n\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function trying(path, method, operation) {
  const parameters = (operation.parameters || []).map((parameter) =>
    ({ ...parameter, input: element('input', [], { autocomplete: 'off' }) }));
  const types = Object.entries(operation.requestBody ? operation.requestBody.content : {});
  const [type, media] = types[0] || [];
  const isForm = type === 'application/x-www-form-urlencoded';
  const body = type && element('textarea', [], { rows: 6, spellcheck: 'false' });
  if (body) {
    const sample = example(media.schema);
    body.value = isForm ? new URLSearchParams(sample).toString() : JSON.stringify(sample, null, 2);
  }
  const output = element('pre', [], { 'aria-live': 'polite' });
  const form = element('form', [
    ...parameters.map((one) => field(`${one.name} (${one.in})`, one.input)),
    ...(body ? [field(`Body (${type})`, body)] : []),
    element('button', `Send ${method.toUpperCase()}`),
    output,
  ]);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const url = new URL(location.origin);
    const headers = {};
    const token = document.getElementById('token').value.trim();
    if (token && JSON.stringify(operation.security || []).includes('bearer')) headers.Authorization = `Bearer ${token}`;
    if (type) headers['Content-Type'] = type;
    let filled = path;
    parameters.filter((one) => one.input.value).forEach((one) => {
      if (one.in === 'path') filled = filled.replace(`{${one.name}}`, encodeURIComponent(one.input.value));
      if (one.in === 'query') url.searchParams.set(one.name, one.input.value);
      if (one.in === 'header') headers[one.name] = one.input.value;
    });
    url.pathname = filled;
    send({ url, method: method.toUpperCase(), headers, body: body && body.value }, output);
  });
  return form;
}

function shown(path, method, operation) {
  const summary = element('summary', [
    element('b', method.toUpperCase()), ' ', element('code', path), ' ', operation.summary || '',
  ]);
  const details = element('details', summary);
  details.dataset.words = `${method} ${path} ${operation.summary} ${operation.tags}`.toLowerCase();
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    details.append(
      element('p', operation.description || ''),
      ...contents('Request', operation.requestBody && operation.requestBody.content),
      ...answers(operation),
      trying(path, method, operation),
    );
  });
  return details;
}

function show() {
  const features = new Map();
  Object.entries(api.paths).forEach(([path, item]) => Object.entries(item).forEach(([method, operation]) => {
    const feature = (operation.tags || ['other'])[0];
    if (!features.has(feature)) features.set(feature, []);
    features.get(feature).push(shown(path, method, operation));
  }));
  const main = document.getElementById('operations');
  main.replaceChildren(...[...features].map(([name, operations]) =>
    element('section', [element('h2', name), ...operations])));
}

function find(event) {
  const wanted = event.target.value.toLowerCase();
  document.querySelectorAll('details').forEach((details) => {
    details.hidden = !details.dataset.words.includes(wanted);
  });
  document.querySelectorAll('section').forEach((section) => {
    section.hidden = !section.querySelector('details:not([hidden])');
  });
}

fetch('/openapi.json').then((response) => response.json()).then((document_) => {
  api = document_;
  show();
  document.getElementById('find').addEventListener('input', find);
});
