// The verdict of sigstore-js on a bundle: node verify.mjs BUNDLE TRUSTED_ROOT SAN ISSUER
//
// It does not see the artifact: for a DSSE envelope, npm compares subject and digest itself.
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";

const [bundle, trustedRoot, subjectAlternativeName, issuer] = process.argv.slice(2);
const json = (path) => JSON.parse(readFileSync(path, "utf8"));
try {
  const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(json(trustedRoot))));
  verifier.verify(toSignedEntity(bundleFromJSON(json(bundle))), { subjectAlternativeName, extensions: { issuer } });
  console.log("verified");
} catch (error) {
  console.error(`${error.name}: ${error.code ?? ""} ${error.message}`);
  process.exit(1);
}
