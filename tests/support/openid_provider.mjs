// A provider of OpenID Connect on this machine, by npm's oidc-provider: ann plans, carl is a customer, eve has no role.
// node openid_provider.mjs PORT: prints "listening"; anybody signs in by name, without a password.
// GET /leave/NAME takes the person's groups away, as an administrator of the provider does.
import * as http from 'node:http'
import { Provider } from 'oidc-provider'

const issuer = `http://localhost:${process.argv[2]}`
const groups = { ann: ['planners', 'all'], carl: ['customers'], eve: ['all'], root: ['plant-it'], '<img src=x onerror=alert(1)>': ['planners'] }
const owners = { ann: ['*'], carl: ['acme'], root: ['*'], '<img src=x onerror=alert(1)>': ['*'] }
const back = process.argv.slice(3)

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'foretwin',
    client_secret: 's+cret/with:signs',
    redirect_uris: back.map((origin) => `${origin}/sign-in/return`),
    post_logout_redirect_uris: back.map((origin) => `${origin}/sign-in`),
  }],
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'owner'], email: ['email'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: groups[id], owner: owners[id] }),
  }),
  async loadExistingGrant(ctx) { // nobody is asked whether this service may know who they are
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
  pkce: { required: () => true },
  cookies: { keys: ['of this process alone'] },
})
const answer = provider.callback()
http.createServer((request, response) => {
  if (!request.url.startsWith('/leave/')) return answer(request, response)
  groups[request.url.slice('/leave/'.length)] = []
  response.end()
}).listen(Number(process.argv[2]), 'localhost', () => console.log('listening'))
