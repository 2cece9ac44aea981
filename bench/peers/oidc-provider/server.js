// The peer of the ratio table: oidc-provider (npm) with the same grants, the same kind of token and the same client as
// the measured server. Everything is kept in memory and lost at the end: it fsyncs nothing and writes no audit line.
//   node server.js PORT CLIENT_SECRET
// GET /bench/refresh-tokens?count=N prints so many live refresh tokens of the client, one a line.

import { createServer } from 'node:http'
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'

const port = Number(process.argv[2])
const secret = process.argv[3]
const issuer = `http://127.0.0.1:${port}`
const clientId = 'bench-0000000'
const scope = 'groups:read members:read'
const audience = 'https://api.activity.com'
/** The peer introspects no JWT, so introspection is measured with its own opaque access tokens. */
const opaqueAudience = 'https://opaque.activity.com'

/** A map without limit and without copies: the least that a store can cost. */
const records = new Map()
const grants = new Map()
class Memory {
  constructor(model) { this.model = model }
  key(id) { return `${this.model}:${id}` }
  async upsert(id, payload) {
    records.set(this.key(id), payload)
    if (payload.grantId) {
      const members = grants.get(payload.grantId) ?? grants.set(payload.grantId, []).get(payload.grantId)
      members.push(this.key(id))
    }
  }
  async find(id) { return records.get(this.key(id)) }
  async findByUid() {}
  async findByUserCode() {}
  async consume(id) { records.get(this.key(id)).consumed = Math.floor(Date.now() / 1000) }
  async destroy(id) { records.delete(this.key(id)) }
  async revokeByGrantId(grantId) {
    for (const key of grants.get(grantId) ?? []) records.delete(key)
    grants.delete(grantId)
  }
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  clients: [{
    client_id: clientId,
    client_secret: secret,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials', 'refresh_token', 'authorization_code'],
    redirect_uris: ['https://client.activity.com/callback'],
    id_token_signed_response_alg: 'ES256',
    scope: `openid offline_access ${scope}`,
  }],
  scopes: ['openid', 'offline_access', ...scope.split(' ')],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  routes: { token: '/oauth/token', introspection: '/oauth/introspect' },
  rotateRefreshToken: true,
  ttl: { ClientCredentials: 900, AccessToken: 900, RefreshToken: 86_400, Grant: 86_400 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope,
        audience: resource,
        accessTokenTTL: 900,
        accessTokenFormat: resource === opaqueAudience ? 'opaque' : 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
})

async function refreshToken(client) {
  const accountId = '01890000-0000-7000-8000-000000000000'
  const grant = new provider.Grant({ accountId, clientId })
  grant.addResourceScope(audience, scope)
  const grantId = await grant.save()
  const token = new provider.RefreshToken({ accountId, client, grantId, gty: 'authorization_code', resource: audience, scope })
  return token.save()
}

const handle = provider.callback()
createServer(async (request, response) => {
  const url = new URL(request.url, issuer)
  if (url.pathname === '/ready') return response.end()
  if (url.pathname !== '/bench/refresh-tokens') return handle(request, response)
  const client = await provider.Client.find(clientId)
  const tokens = []
  for (let n = Number(url.searchParams.get('count')); n > 0; n -= 1) tokens.push(await refreshToken(client))
  response.end(tokens.join('\n'))
}).listen(port, '127.0.0.1')
