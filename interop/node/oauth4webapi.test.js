// oauth4webapi: the same calls at a lower level, and its checker of access tokens as a resource server would use it.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import { accountClient, audience, claims, service, signIn, url } from './server.js'

const insecure = { [oauth.allowInsecureRequests]: true }
const client = { client_id: service.id }
const basic = oauth.ClientSecretBasic(service.secret)
let as

before(async () => {
  as = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
})

async function serviceToken(auth = basic) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: service.scope }, insecure)
  return oauth.processClientCredentialsResponse(as, client, response)
}

test('oauth4webapi finds the same metadata by OAuth 2 discovery', async () => {
  const options = { ...insecure, algorithm: 'oauth2' }
  const document = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, options))
  assert.deepEqual(document, as)
})

test('oauth4webapi accepts an access token as a resource server (RFC 9068)', async () => {
  const { access_token } = await serviceToken()
  const request = new Request(audience, { headers: { authorization: `Bearer ${access_token}` } })
  const accepted = await oauth.validateJwtAccessToken(as, request, audience, insecure)
  assert.equal(accepted.client_id, service.id)
})

test('oauth4webapi refuses an access token for another audience', async () => {
  const { access_token } = await serviceToken()
  const request = new Request(audience, { headers: { authorization: `Bearer ${access_token}` } })
  const checked = oauth.validateJwtAccessToken(as, request, 'https://elsewhere.example', insecure)
  await assert.rejects(checked, /unexpected JWT "aud"/)
})

test('oauth4webapi names the error of a wrong secret', async () => {
  await assert.rejects(serviceToken(oauth.ClientSecretPost('wrong')), refusal('invalid_client', 401))
})

test('oauth4webapi introspects and revokes', async () => {
  const { access_token } = await serviceToken()
  const introspect = async () =>
    oauth.processIntrospectionResponse(
      as, client, await oauth.introspectionRequest(as, client, basic, access_token, insecure))
  assert.equal((await introspect()).active, true)
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, basic, access_token, insecure))
  assert.deepEqual(await introspect(), { active: false })
})

test('oauth4webapi hears that a public client may not introspect', async () => {
  const { access_token } = await serviceToken()
  const account = { client_id: accountClient }
  const response = await oauth.introspectionRequest(as, account, oauth.None(), access_token, insecure)
  await assert.rejects(oauth.processIntrospectionResponse(as, account, response), refusal('invalid_client', 401))
})

test('oauth4webapi renews the tokens of a sign-in', async () => {
  const account = { client_id: accountClient }
  const first = await signIn()
  const response = await oauth.refreshTokenGrantRequest(as, account, oauth.None(), first.refresh_token, insecure)
  const second = await oauth.processRefreshTokenResponse(as, account, response)
  assert.equal(claims(second.access_token).sub, first.user_id)
})

test('oauth4webapi names the error of a refresh token that is none', async () => {
  const account = { client_id: accountClient }
  const response = await oauth.refreshTokenGrantRequest(as, account, oauth.None(), 'nonsense', insecure)
  await assert.rejects(oauth.processRefreshTokenResponse(as, account, response), refusal('invalid_grant', 400))
})

function refusal(code, status) {
  return (error) => {
    assert.ok(error instanceof oauth.ResponseBodyError, String(error))
    assert.deepEqual([error.error, error.status], [code, status])
    assert.ok(error.error_description)
    return true
  }
}
