// The started server, its demo clients, and a sign-in of a demo user.

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

export const words = (scope) => new Set(scope.split(' '))

export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
