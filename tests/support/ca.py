"""Certificate authorities for tests, by the `openssl` program: keys, chains, revocation lists, OCSP answers.

    ca = make_ca(folder)
    site = ca.issue(['api.example.com', '*.example.com'])        # server, ECDSA P-256, 90 days
    site.pem                                                     # a file as a Secret wants it: leaf, chain, key
    client = ca.issue(['spiffe://acme.example/mobile'], usage='client', kind='rsa')
    ca.revoke(client); ca.crl()                                  # a file with the list of revoked ones

Every file of an authority lies in its folder; paths are pathlib.Path. Serials are lower-case hexadecimal digits, two
a byte, as Northgate shows them.
"""
import base64
import datetime
import hashlib
import ipaddress
import subprocess
from pathlib import Path

KINDS = {
    'ecdsa': ('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'),
    'ecdsa384': ('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'),
    'rsa': ('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'),
    'ed25519': ('genpkey', '-algorithm', 'ED25519'),
}
USAGES = {'server': 'serverAuth', 'client': 'clientAuth', 'both': 'serverAuth,clientAuth', 'code': 'codeSigning'}

CONFIG = """
[ca]
default_ca = this
[this]
dir = {dir}
database = $dir/index.txt
new_certs_dir = $dir/issued
certificate = $dir/ca.crt
private_key = $dir/ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
crlnumber = $dir/crlnumber
default_crl_days = 30
[any]
commonName = optional
organizationName = optional
countryName = optional
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def openssl(*args, **kwargs):
    done = subprocess.run(['openssl', *map(str, args)], capture_output=True, text=True, check=False, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f'openssl {" ".join(map(str, args))}: {done.stderr}')
    return done.stdout


def _time(when):
    """Days from now, or a datetime, as `openssl ca` takes it."""
    if not isinstance(when, datetime.datetime):
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=when)
    return when.strftime('%Y%m%d%H%M%SZ')


def _san(name):
    if ':' in name and name.split(':', 1)[0] in ('DNS', 'URI', 'IP', 'email'):
        return name
    if '://' in name:
        return f'URI:{name}'
    if '@' in name:
        return f'email:{name}'
    try:
        return f'IP:{ipaddress.ip_address(name)}'
    except ValueError:
        return f'DNS:{name}'


class Issued:
    """A certificate with its key. `chain`: leaf and intermediates. `pem`: the same and the key."""

    def __init__(self, folder, stem):
        self.cert = folder / f'{stem}.crt'
        self.key = folder / f'{stem}.key'
        self.chain = folder / f'{stem}.chain.pem'
        self.pem = folder / f'{stem}.pem'

    @property
    def serial(self):
        return openssl('x509', '-in', self.cert, '-noout', '-serial').strip().split('=')[1].lower()

    @property
    def sha256(self):
        return openssl('x509', '-in', self.cert, '-noout', '-fingerprint', '-sha256').strip().split('=')[1].replace(':', '').lower()

    def spki_sha256(self):
        """As a pin: `sha256/` and base64."""
        public = openssl('x509', '-in', self.cert, '-noout', '-pubkey')
        body = ''.join(line for line in public.splitlines() if not line.startswith('-'))
        return 'sha256/' + base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()


class Ca(Issued):
    """A root, or an intermediate under `parent`. `cert` is its certificate: what clients trust."""

    def __init__(self, folder, name='Northgate Test CA', kind='ecdsa', days=3650, parent=None):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, 'ca')
        self.folder, self.name, self.parent = folder, name, parent
        self._count = 0
        (folder / 'issued').mkdir()
        (folder / 'index.txt').write_text('')
        (folder / 'crlnumber').write_text('01\n')
        self.config = folder / 'ca.cnf'
        self.config.write_text(CONFIG.format(dir=folder))
        openssl(*KINDS[kind], '-out', self.key)
        if parent is None:
            openssl('req', '-x509', '-new', '-config', self.config, '-extensions', 'authority', '-key', self.key, '-subj', f'/CN={name}',
                    '-days', days, '-out', self.cert)
        else:
            request = folder / 'ca.csr'
            openssl('req', '-new', '-config', self.config, '-key', self.key, '-subj', f'/CN={name}', '-out', request)
            openssl('ca', '-config', parent.config, '-batch', '-notext', '-in', request, '-out', self.cert, '-extensions', 'authority',
                    '-extfile', self.config, '-startdate', _time(-1), '-enddate', _time(days))

    def intermediate(self, name='Northgate Test Intermediate', kind='ecdsa', days=1800):
        return Ca(self.folder / name.replace(' ', '-').lower(), name, kind, days, parent=self)

    def above(self):
        """Certificates that a server sends after its leaf: this one and what is above it, but for the root."""
        return [] if self.parent is None else [self.cert, *self.parent.above()]

    def issue(self, names, kind='ecdsa', days=90, usage='server', subject=None, starts=-1, key=None):
        """`names`: hosts, addresses, URIs, mail addresses. `days`, `starts`: from now (negative: before), or datetimes.
        `subject`: `/O=Acme/CN=gw`; by default the first name. `key`: of an earlier Issued, to renew it."""
        self._count += 1
        out = Issued(self.folder, f'{self._count}')
        if key is None:
            openssl(*KINDS[kind], '-out', out.key)
        else:
            out.key.write_bytes(key.key.read_bytes())
        extensions = self.folder / f'{self._count}.ext'
        purpose = f'extendedKeyUsage = {USAGES[usage]}\n' if usage else ''
        san = f'subjectAltName = {",".join(map(_san, names))}\n' if names else ''
        extensions.write_text('basicConstraints = critical,CA:false\nkeyUsage = critical,digitalSignature,keyEncipherment\n'
                              f'{purpose}{san}subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n')
        request = self.folder / f'{self._count}.csr'
        if subject is None:
            subject = '/CN=' + (names[0] if names else 'nobody').replace('/', r'\/')[:60]
        openssl('req', '-new', '-config', self.config, '-key', out.key, '-subj', subject, '-out', request)
        openssl('ca', '-config', self.config, '-batch', '-notext', '-in', request, '-out', out.cert, '-extfile', extensions,
                '-startdate', _time(starts), '-enddate', _time(days))
        chain = [out.cert, *self.above()]
        out.chain.write_text(''.join(path.read_text() for path in chain))
        out.pem.write_text(out.chain.read_text() + out.key.read_text())
        return out

    def revoke(self, issued):
        openssl('ca', '-config', self.config, '-revoke', issued.cert)

    def crl(self, days=30):
        """The list of what was revoked, as a new file."""
        self._count += 1
        out = self.folder / f'{self._count}.crl.pem'
        flags = ['-crldays', str(days)] if days > 0 else ['-crl_lastupdate', _time(days - 1), '-crl_nextupdate', _time(days)]
        openssl('ca', '-config', self.config, '-gencrl', *flags, '-out', out)
        return out

    def ocsp(self, issued, days=7):
        """An OCSP response (DER) for a certificate of this authority, as a new file."""
        self._count += 1
        request, out = self.folder / f'{self._count}.ocsp.req', self.folder / f'{self._count}.ocsp'
        openssl('ocsp', '-issuer', self.cert, '-cert', issued.cert, '-no_nonce', '-reqout', request)
        openssl('ocsp', '-index', self.folder / 'index.txt', '-CA', self.cert, '-rsigner', self.cert, '-rkey', self.key,
                '-reqin', request, '-respout', out, '-ndays', str(days))
        return out


def make_ca(folder, name='Northgate Test CA', kind='ecdsa', days=3650):
    return Ca(folder, name, kind, days)
