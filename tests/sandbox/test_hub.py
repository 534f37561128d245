"""The Hub, asked by huggingface_hub and by plain requests."""

from __future__ import annotations

import pytest

# huggingface_hub announces itself to its home on the first request unless told not to.
pytestmark = pytest.mark.usefixtures("quiet_hub")


@pytest.fixture(scope="session")
def quiet_hub():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        patch.setenv("HF_HUB_DISABLE_UPDATE_CHECK", "1")
        import huggingface_hub.constants

        patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
        yield


@pytest.fixture
def api(sandbox):
    from huggingface_hub import HfApi

    return HfApi(endpoint=sandbox.addresses["HF_ENDPOINT"], token=False)


def test_model_info_has_card_data_tags_and_siblings(api):
    info = api.model_info("fennelhollow/fennel-3b-instruct", files_metadata=True)
    assert info.card_data.license == "apache-2.0"
    assert info.card_data.base_model == "fennelhollow/fennel-3b"
    assert {"license:apache-2.0", "dataset:fennelhollow/hedge-talk", "arxiv:2404.91001"} <= set(info.tags)
    sizes = {file.rfilename: file.size for file in info.siblings}
    assert sizes["model-00001-of-00002.safetensors"] == 4_988_000_000
    assert info.gated is False
    assert len(info.sha) == 40


def test_dataset_info(api):
    info = api.dataset_info("fennelhollow/meadow-corpus")
    assert info.card_data.license == "apache-2.0"
    assert "size_categories:n>1T" in info.tags


def test_a_revision_is_main_or_the_commit(api, hub):
    info = api.model_info("fennelhollow/fennel-3b")
    assert api.model_info("fennelhollow/fennel-3b", revision=info.sha).sha == info.sha
    assert api.list_repo_refs("fennelhollow/fennel-3b").branches[0].target_commit == info.sha
    answer = hub("/api/models/fennelhollow/fennel-3b/revision/v9")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")


def test_a_missing_model_is_401_to_strangers_and_404_to_members(sandbox, api, hub):
    from huggingface_hub.errors import RepositoryNotFoundError

    assert hub("/api/models/heathland/gorse-3b").status_code == 401
    answer = hub("/api/models/heathland/gorse-3b", token="any")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RepoNotFound")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("heathland/gorse-3b")


def test_a_file_comes_with_commit_and_etag_and_is_not_sent_twice(sandbox, hub):
    answer = hub("/quillwort/sorrel-chat-7b/resolve/main/README.md")
    assert answer.text.startswith("---\nlicense: apache-2.0")
    thing = sandbox.world.thing("hub/models/quillwort/sorrel-chat-7b")
    assert answer.headers["X-Repo-Commit"] == thing.commits[-1].sha
    assert answer.headers["RateLimit"].startswith('"resolvers";r=')
    again = hub(
        "/quillwort/sorrel-chat-7b/resolve/main/README.md", **{"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
    card = hub("/datasets/quillwort/pollen-dialogues/resolve/main/README.md")
    assert "# Pollen Dialogues" in card.text


def test_the_info_too_can_be_asked_for_conditionally(hub):
    first = hub("/api/models/quillwort/sorrel-chat-7b")
    again = hub("/api/models/quillwort/sorrel-chat-7b", **{"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_a_missing_file_is_404_entry_not_found(hub):
    answer = hub("/quillwort/sorrel-chat-7b/resolve/main/NOTHING.md")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")


def test_a_gated_model_shows_its_card_and_keeps_its_files(api, hub):
    from huggingface_hub.errors import GatedRepoError

    assert api.model_info("larkspur/monkshood-13b").gated == "manual"
    assert hub("/larkspur/monkshood-13b/resolve/main/README.md").status_code == 200
    anonymous = hub("/larkspur/monkshood-13b/resolve/main/LICENSE.txt")
    member = hub("/larkspur/monkshood-13b/resolve/main/LICENSE.txt", token="any")
    assert (anonymous.status_code, member.status_code) == (401, 403)
    assert anonymous.headers["X-Error-Code"] == member.headers["X-Error-Code"] == "GatedRepo"
    with pytest.raises(GatedRepoError):
        api.hf_hub_download("larkspur/monkshood-13b", "LICENSE.txt", etag_timeout=5)


def test_the_head_of_a_weight_file_tells_its_size_and_nothing_is_sent(sandbox, http):
    url = sandbox.addresses["HF_ENDPOINT"] + "/quillwort/sorrel-chat-7b/resolve/main/"
    answer = http.head(url + "model-00001-of-00003.safetensors", timeout=5)
    assert answer.headers["X-Linked-Size"] == "4943000000"


def test_a_made_up_file_has_the_size_that_it_is_listed_with(hub):
    assert len(hub("/quillwort/sorrel-chat-7b/resolve/main/tokenizer.json").content) == 1_795_000


def test_small_files_are_redirected_when_asked_to_be(sandbox, http):
    sandbox.state.hub_redirect = True
    url = sandbox.addresses["HF_ENDPOINT"] + "/quillwort/sorrel-chat-7b/resolve/main/README.md"
    answer = http.get(url, timeout=5)
    assert [step.status_code for step in answer.history] == [307]
    assert answer.text.startswith("---")


def test_list_models_by_author_sorted_and_limited(api):
    models = list(api.list_models(author="quillwort", sort="downloads", full=True, cardData=True))
    assert [model.id for model in models] == ["quillwort/sorrel-chat-7b", "quillwort/sorrel-reward-7b"]
    assert models[0].card_data.base_model == "tansycomputing/tansy-7b"
    assert models[0].siblings
    newest = next(iter(api.list_models(sort="last_modified", limit=1)))
    assert newest.id == "bindweed/betony-2b-chat"
    assert [m.id for m in api.list_models(search="marram", filter="license:openrail", sort="likes")] == [
        "barrowsound/marram-1b7-chat",
        "barrowsound/marram-1b7",
    ]


def test_lists_lead_on_by_link_headers(hub):
    seen, path = [], "/api/models?limit=4&sort=createdAt&full=true"
    while path:
        answer = hub(path)
        seen += [model["id"] for model in answer.json()]
        path = answer.links["next"]["url"].split("/hf", 1)[1] if "next" in answer.links else None
    assert len(seen) == len(set(seen)) > 8
    assert hub("/api/models?limit=x").status_code == 400


def test_a_list_without_full_hides_what_the_hub_hides(hub):
    entry = hub("/api/models?limit=1").json()[0]
    assert not {"sha", "siblings", "cardData"} & set(entry)


def test_broken_front_matter_leaves_the_card_data_out(sandbox, hub):
    path = "hub/models/quillwort/sorrel-chat-7b/files/README.md"
    sandbox.change(path, text="---\nlicense: [apache-2.0\n---\n# Sorrel\n")
    assert "cardData" not in hub("/api/models/quillwort/sorrel-chat-7b").json()


def test_a_changed_card_moves_sha_and_date(sandbox, hub):
    before = hub("/api/models/quillwort/sorrel-chat-7b").json()
    sandbox.change("hub/models/quillwort/sorrel-chat-7b/files/README.md", append="\nMore.\n")
    after = hub("/api/models/quillwort/sorrel-chat-7b").json()
    assert before["sha"] != after["sha"]
    assert before["lastModified"] < after["lastModified"]


def test_a_renamed_model_is_redirected(sandbox, hub):
    sandbox.change("hub/models/saltmarsh/kelpie-instruct-7b", merge={"moved_to": "saltmarsh/kelpie-7b"})
    answer = hub("/api/models/saltmarsh/kelpie-instruct-7b")
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith("/api/models/saltmarsh/kelpie-7b")


def test_the_limit_is_429_with_retry_after(sandbox, hub):
    sandbox.limits.set("hub.api.anonymous", 1)
    hub("/api/models?limit=1")
    answer = hub("/api/models?limit=1")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert hub("/api/models?limit=1", token="any").status_code == 200


def test_a_refused_token_is_401_without_an_error_code(hub):
    answer = hub("/api/models/quillwort/sorrel-chat-7b", token="bad")
    assert answer.status_code == 401
    assert "X-Error-Code" not in answer.headers
