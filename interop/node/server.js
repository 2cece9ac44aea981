// The started server, its demo clients, clients of a test's own, and a sign-in of a demo user.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const url = new URL(process.env.TOKENSMITH_URL ?? (() => { throw new Error('run interop/node/run') })())
export const audience = 'https://api.activity.com'
export const service = {
  id: 'chat-api-service',
  secret: 'your-service-secret-change-in-production',
  scope: 'groups:read members:read',
}
/** The public client under which the server's own sign-in issues tokens. */
export const accountClient = 'tokensmith-account'

/** Signs Alice in, in the older clients' spelling; her answer holds a refresh token. */
export async function signIn() {
  const response = await fetch(new URL('/auth/login', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'alice.admin@example.com', password: 'correct horse battery staple' }),
  })
  if (!response.ok) throw new Error(`sign-in: ${response.status} ${await response.text()}`)
  return response.json()
}

/** Registers a client by the command line, with further metadata (RFC 7591), a secret of its own or none, and options. */
export function register(id, metadata, secret, ...options) {
  const data = process.env.TOKENSMITH_DATA
  const file = join(data, `${id}.json`)
  writeFileSync(file, JSON.stringify(metadata))
  const command = ['client', 'create', id, '--data', data, '--metadata', file, ...options]
  if (secret) command.push('--secret-stdin')
  execFileSync(process.env.TOKENSMITH_BIN, command, { input: secret ?? '', stdio: ['pipe', 'pipe', 'inherit'] })
}

export const words = (scope) => new Set(scope.split(' '))

export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
