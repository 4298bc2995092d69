"""A payment is in one file alone, and a bank that rejects a whole file has said so of every payment of it."""

from xml.etree import ElementTree as ET

from services.incentives.adapters.payment_files import PAIN
from tests.incentives.test_paying import batched, filed, hmac_of
from tests.incentives.test_service import APPROVER, FINANCE, started


async def message_id(asked, path):
    """Under which id the bank has a file."""
    file = await asked._client.get(f"{path}/pain001", headers=asked._as(FINANCE))
    assert file.status_code == 200, file.text
    return ET.fromstring(file.content).findtext(f".//{{{PAIN}}}MsgId")


async def rejects(asked, message, report="M-1"):
    """What becomes of the bank's word that nothing of a file is carried out."""
    content = f"""<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>{report}</MsgId><CreDtTm>2026-06-04T08:00:00Z</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId><GrpSts>RJCT</GrpSts>
<StsRsnInf><Rsn><Cd>AM05</Cd></Rsn><AddtlInf>sent twice</AddtlInf></StsRsnInf></OrgnlGrpInfAndSts>
</CstmrPmtStsRpt></Document>"""
    file = {"kind": "pain002", "content": content, "signature": hmac_of(content)}
    answer = await asked.post(FINANCE, "/provider-reports/file", file)
    assert answer.status_code == 200, answer.text
    return [(one["result"], one.get("slug")) for one in answer.json()["results"]]


async def test_every_payment_of_a_file_that_the_bank_rejects_whole_has_failed_and_says_why(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, batch = await batched(asked)
        await asked.post(FINANCE, f"{batch}/send")
        message = await message_id(asked, batch)
        assert await rejects(asked, message) == [("recorded", None)]
        found = await asked.until(FINANCE, payment, lambda row: row["state"] == "failed")
        why = await asked.get(FINANCE, f"/why/{found['event_id']}")
        assert why["reasons"][0]["text"].endswith(": AM05 sent twice")
        assert await rejects(asked, message) == [("repeated", None)]
        assert (await asked.post(FINANCE, f"{batch}/close")).json()["state"] == "closed"
        await asked.post(FINANCE, f"{payment}/retry")
        await asked.post(FINANCE, f"{payment}/submit")
        assert await rejects(asked, message) == [("refused", "unknown-reference")], "it went out again in another file"
        assert (await asked.get(FINANCE, payment))["state"] == "submitted"


async def test_a_payment_whose_own_file_the_bank_rejects_has_failed_and_a_word_of_no_file_of_ours_changes_nothing(
    tmp_path,
):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, batch = await batched(asked)
        await asked.post(FINANCE, f"{payment}/submit")
        assert await filed(asked, batch, payment) == [422, 200], "it went out by itself, before its batch"
        for nobody in ("F-1", "0" * 32, f"{'0' * 32}-01", batch.removeprefix("/batches/").replace("-", "")):
            [(result, _)] = await rejects(asked, nobody, report="M-0")
            assert result == "refused"
        assert (await asked.get(FINANCE, payment))["state"] == "submitted"
        assert await rejects(asked, await message_id(asked, payment)) == [("recorded", None)]
        await asked.until(FINANCE, payment, lambda row: row["state"] == "failed")


async def test_a_payment_in_the_file_of_a_batch_is_in_no_file_of_its_own(tmp_path):
    async with started(tmp_path, provider="file", provider_secret="shared") as asked:
        payment, batch = await batched(asked)
        assert (await asked.post(APPROVER, f"{batch}/send")).json()["state"] == "sent"
        answer = await asked._client.get(f"{payment}/pain001", headers=asked._as(FINANCE))
        assert (answer.status_code, answer.json()["slug"]) == (409, "in-batch")
        assert answer.json()["batch_id"] == batch.removeprefix("/batches/")
